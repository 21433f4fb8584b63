"""The files of a simulated node: where each lies in the arrays, how large it is, how it is made anew."""

from __future__ import annotations

from collections.abc import Mapping

from memqos.errors import ExperimentError
from memqos.sim.machine import PAGE, Machine
from memqos.sim.text import Text


class Files:
    """The files of a node by path."""

    def __init__(self, machine: Machine, sizes: Mapping[str, int], disk: str = "") -> None:
        self.machine = machine
        self.disk = disk
        self.sizes = dict(sizes)
        self.objects = {path: machine.file(size, disk) for path, size in sizes.items()}
        for obj in self.objects.values():
            machine.stored(obj)
        self._made: dict[tuple[str, int], int] = {}
        self._texts: dict[str, tuple[int, int]] = {}

    def find(self, path: str) -> int:
        """The object of a file that exists; raises `ExperimentError`."""
        if path not in self.objects:
            raise ExperimentError(f"there is no file {path}", remedy="list it in the scenario's files")
        return self.objects[path]

    def truncate(self, path: str, size: int) -> int:
        """Empty a file or create it, with room for `size` bytes."""
        self.sizes[path] = size
        pages = -(-size // PAGE)
        if path in self.objects:
            old = self.objects[path]
            self.machine.free_object(old)
            self._made[path, self.machine.pages_of(old)] = old
        # a file that is written with the same size again lies where it lay, so that memory here does not grow
        if (path, pages) not in self._made:
            self._made[path, pages] = self.machine.file(size, self.disk)
        self.objects[path] = self._made[path, pages]
        self.machine.stored(self.objects[path], yes=False)
        return self.objects[path]

    def text(self, text: Text) -> tuple[int, int]:
        """The objects of a program's files, made when first asked for: what is mapped, what is read of them.

        They lie on a disk of which io.stat of no experiment says anything, as images do.
        """
        if text.name not in self._texts:
            mapped, read = text.parts(large=self.machine.profile.large_folios)
            self._texts[text.name] = self.machine.image(mapped), self.machine.image(read)
        return self._texts[text.name]
