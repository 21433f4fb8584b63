"""What an experiment's timeline does, step by step."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct, field


class _Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class Sample(_Strict, frozen=True):
    """Let time pass: look at the node every `every` seconds, `count` times."""

    every: float = 1.0
    count: int = 1


class Exec(_Strict, frozen=True):
    """Run a command in a container's cgroup, as `kubectl exec` would, and wait for it.

    `as` names it for measures (`took("second", "real")`).
    """

    pod: str
    command: tuple[str, ...]
    container: str = ""
    name: str = field(default="", name="as")
    timeout: float = 300.0


class Wait(_Strict, frozen=True):
    """Let time pass until a pod is `running`, has `ended`, or has said a word in its log.

    In vain is an error, unless it is `patient`: then the timeline goes on after `timeout` seconds, or when
    who has not said it has ended. `REFUSED` are fields that say nothing and no file may give; recordings of
    former plays have them.
    """

    REFUSED: ClassVar[frozenset[str]] = frozenset({"every"})

    pod: str
    until: Literal["running", "ended", "said"] = "ended"
    word: str = ""
    timeout: float = 120.0
    every: float = 1.0
    patient: bool = False


class WriteKnob(_Strict, frozen=True):
    """Write one size to a knob of a pod's cgroup (or a container's), as an administrator would.

    `value` is a Kubernetes quantity, or `max`. `memory.reclaim` is an order: what it cannot take is no error.
    """

    pod: str
    knob: Literal[
        "memory.min", "memory.low", "memory.high", "memory.max", "memory.swap.max", "memory.reclaim"
    ]
    value: str
    container: str = ""


class Step(_Strict, frozen=True):
    """One step of the timeline; exactly one field. `at` (seconds from the start) delays it."""

    at: float | None = None
    start: str | None = None
    stop: str | None = None
    mark: str | None = None
    sleep: float | None = None
    sample: Sample | None = None
    exec: Exec | None = None
    wait: Wait | None = None
    write: WriteKnob | None = None
    drop_caches: bool | None = None

    @property
    def action(self) -> str:
        """The one field that is set; raises `ValueError` for none or several."""
        found = [name for name in self.__struct_fields__[1:] if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"a step has exactly one action, this one has {', '.join(found) or 'none'}")
        return found[0]
