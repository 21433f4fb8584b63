"""When a remedy is tightened, kept or loosened: the timing that all rungs with feedback share.

It is tightened at once when a pod is hurt, and again once per dwell time while that lasts. It is loosened
step by step, one step per dwell time, after no pod was hurt for the calm time. When a pod is hurt again after
a loosening, the calm time doubles (up to 32 times): what failed is tried again ever more seldom, so that the
pod does not suffer from one trial after another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

Move: TypeAlias = Literal["tighten", "retreat", "keep", "loosen"]
"""`retreat`: the last loosening went too far; `tighten` goes on from there."""

_MOST_PATIENCE: Final = 32


@dataclass(frozen=True, slots=True)
class Pace:
    """Times are the node's clock; `calm_us` is when the hurt last ended, `None` while it is there."""

    changed_us: int
    calm_us: int | None = None
    loosened: bool = False
    patience: int = 1

    def turn(self, now_us: int, *, hurt: bool, dwell_us: float, calm_us: float) -> tuple[Pace, Move]:
        """Return the pace after this look, and what to do."""
        settled = now_us - self.changed_us >= dwell_us
        if hurt:
            if not settled:
                return replace(self, calm_us=None), "keep"
            patience = min(_MOST_PATIENCE, 2 * self.patience) if self.loosened else self.patience
            move: Move = "retreat" if self.loosened else "tighten"
            return Pace(now_us, None, False, patience), move
        since = now_us if self.calm_us is None else self.calm_us
        if settled and now_us - since >= calm_us * (1 if self.loosened else self.patience):
            return Pace(now_us, since, True, self.patience), "loosen"
        return replace(self, calm_us=since), "keep"

    def forgotten(self, now_us: int, calm_us: float) -> bool:
        """True once nobody was hurt for so long that a new trouble is another one."""
        return self.calm_us is not None and now_us - self.calm_us > 4 * calm_us * self.patience
