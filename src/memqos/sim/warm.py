"""Compiling the kernels: how far it is, for whoever waits for it.

They are compiled when they are first called on a machine, all at once, and then kept on disk
(`kernels.jit`): about forty seconds once, a fifth of a second ever after. numba makes millions of
small objects on the way and few of them are garbage, so the collector looks less often meanwhile.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import config as numba_config
from numba.core.dispatcher import Dispatcher
from numba.core.event import Event, Listener, install_listener

from memqos.sim.kernels import control

_config: Any = numba_config
_OF_NUMBA = 1.25
"""The whole work against that of our functions alone: numba's own, and making one program of all."""


@contextmanager
def compiling(show: Callable[[float], None]) -> Iterator[None]:
    """While this lasts, hear how far compiling is, 0 to 1; hear nothing when nothing is compiled."""
    if _config.DISABLE_JIT:
        yield
        return
    total = len({id(each) for each in _kernels()}) * _OF_NUMBA

    class Count(Listener):
        depth = done = 0
        often = gc.get_threshold()

        def on_start(self, event: Event) -> None:
            if not self.depth:
                gc.set_threshold(200_000, 20, 100)
                show(0.0)
            self.depth += 1

        def on_end(self, event: Event) -> None:
            self.depth -= 1
            self.done += 1
            if not self.depth:
                gc.set_threshold(*self.often)
            show(min(0.99, self.done / total) if self.depth else 1.0)

    with install_listener("numba:compile", Count()):
        yield


def _kernels() -> Iterator[Any]:
    prefix = control.__name__.rpartition(".")[0] + "."
    for name, module in list(sys.modules.items()):
        if name.startswith(prefix):
            yield from (each for each in vars(module).values() if isinstance(each, Dispatcher))
