"""Whether a guest's clock kept time with its hardware's.

Under emulation on a busy host a guest's clock was seen to leap: a wait of 90 s was over within 8. Every
timeout and every second measured in such a guest is wrong, so the run counts as lost. The guest reports its
uptime and its battery clock, which follows the host's, when its command begins and when it has ended
(`init.sh`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from memqos.errors import VmLost

NAME: Final = "clock"
"""The file in the share: lines of uptime in seconds and seconds since the epoch."""
_LEAST: Final = 3.0
"""Seconds; the battery clock tells whole ones, and a busy guest is slow between two commands."""
_PART: Final = 0.02


def check(share: Path) -> None:
    """Raise `VmLost` when the clock gained or lost more than 2 %; a guest that told nothing passes."""
    try:
        told = [line.split() for line in (share / NAME).read_text(encoding="ascii").splitlines()]
        (began, rtc_began), (ended, rtc_ended) = ((float(up), float(rtc)) for up, rtc in told)
    except (OSError, ValueError):
        return
    passed = rtc_ended - rtc_began
    gained = ended - began - passed
    if abs(gained) > max(_LEAST, _PART * passed):
        raise VmLost(f"the guest's clock went {ended - began:.0f} s in {passed:.0f} s of the hardware's")
