"""Recordings in one file: a simulator can be compared with real kernels where no machine can be started.

`keep` takes out of every recording what `memqos.lab.compare` reads, a hundredth of it, and adds it as one
more run. In the archive (tar, xz) lies `RUN/EXPERIMENT/KERNEL/...`, the layout of `memqos.lab.recorded`, RUN
counted from 1 for each experiment and kernel.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec.structs import replace

from memqos.errors import LabError, RecordingError
from memqos.lab.compare import NODE
from memqos.lab.recording import Look, Recording, Written, decode, encode
from memqos.lab.room import room_of
from memqos.model.snapshot import Counters

_HOME: Final = re.compile(rb'(?<=")/[^"]*/(?=experiments/)')
"""Where the experiments lay on the machine that recorded, which is nobody's business."""


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Yield the directory of recordings: the one given, or an archive's, unpacked until the block ends.

    Raises `RecordingError` for a file that is no archive.
    """
    if path.is_dir():
        yield path
        return
    with TemporaryDirectory(prefix="memqos-recordings-") as directory:
        for name, data in _read(path).items():
            target = Path(directory, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        yield Path(directory)


def keep(directory: Path, archive: Path) -> list[str]:
    """Add each experiment and kernel of a directory to an archive as one more run; say of each which it is.

    Raises `RecordingError` when there is nothing to add or the archive is something else, and `LabError` when
    it cannot be written; it is then as it was.
    """
    files = _read(archive) if archive.exists() else {}
    told = []
    for home in sorted({path.parents[1] for path in directory.glob("*/*/out/record-*.json")}):
        name = "/".join(home.parts[-2:])
        found = _kept(home)
        runs = {each.split("/")[0] for each in files if f"/{name}/" in each}
        if any(
            all(files.get(f"{run}/{name}/{path}") == data for path, data in found.items()) for run in runs
        ):
            told.append(f"{name} is there already")
        else:
            files |= {f"{len(runs) + 1}/{name}/{path}": data for path, data in found.items()}
            told.append(f"{name}, run {len(runs) + 1}")
    if not told:
        remedy = f"memqos lab run EXPERIMENT... --out {directory}"
        raise RecordingError("has no recording", source=str(directory), remedy=remedy)
    _write(archive, files)
    return told


def _kept(home: Path) -> dict[str, bytes]:
    """What is kept of one experiment on one kernel, by its path there."""
    kept = {
        f"out/{path.name}": encode(trimmed(decode(path.read_bytes(), source=str(path))))
        for path in home.glob("out/record-*.json")
    }
    for name in ("plays.json", "machine.json"):
        if (home / name).exists():
            kept[name] = _HOME.sub(b"", (home / name).read_bytes())
    return kept


def trimmed(recording: Recording) -> Recording:
    """The marks, the first and the last look: the pods' own cgroups and the node's few counters; the room."""
    pods = {name: path for name, path in recording.cgroups.items() if "/" not in name}

    def look(whole: Look) -> Look:
        known = whole.snapshot.cgroups
        vmstat = {each.name: whole.snapshot.node.vmstat[each.name] for each in NODE}
        facts = replace(
            whole.snapshot.node,
            meminfo=Counters.of({}),
            vmstat=Counters.of(vmstat),
            swaps=(),
            disks={},
            zones=(),
        )
        kept = {path: known[path] for path in pods.values() if path in known}
        return replace(
            whole, snapshot=replace(whole.snapshot, node=facts, cgroups=kept, features=frozenset())
        )

    written = sorted({each.knob for each in recording.writes if each.status == "written"})
    return Recording(
        variant=recording.variant,
        release=recording.release,
        devices=recording.devices,
        cgroups=pods,
        marks={name: look(each) for name, each in recording.marks.items()},
        samples=[look(recording.samples[index]) for index in (0, -1)] if recording.samples else [],
        writes=[Written(0.0, "", knob, "", "written", "") for knob in written],
        seconds=recording.seconds,
        room=room_of(recording),
    )


def _read(archive: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(archive, "r:xz") as tar:
            members = [each for each in tar.getmembers() if each.isfile()]
            for each in members:
                if each.name.startswith("/") or ".." in each.name.split("/"):
                    raise RecordingError(f"{each.name} would lie outside of it", source=str(archive))
            return {each.name: tar.extractfile(each).read() for each in members}  # type: ignore[union-attr]
    except (OSError, tarfile.TarError, EOFError) as error:
        problem = f"not an archive of recordings (tar, xz): {error}"
        raise RecordingError(problem, source=str(archive)) from None


def _write(archive: Path, files: dict[str, bytes]) -> None:
    """Write it whole or not at all, the same bytes for the same files."""
    new = archive.with_name(f"{archive.name}.new")
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(new, "w:xz", preset=9) as tar:
            for name in sorted(files, key=_beside_its_like):
                entry = tarfile.TarInfo(name)
                entry.size = len(files[name])
                tar.addfile(entry, io.BytesIO(files[name]))
        new.replace(archive)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise LabError(f"{archive}: {error.strerror or error}") from None


def _beside_its_like(name: str) -> tuple[list[str], str]:
    """Runs of one variant lie side by side, where xz finds what they have in common."""
    run, *rest = name.split("/")
    return rest, run
