"""How a disk queues its requests, as one text: `scheduler=none nr_requests=256 max_sectors_kb=1280`.

The names are those of the files in /sys/block/DISK/queue. `async_depth` is there while the scheduler has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from memqos.errors import InvalidValue

KNOB: Final = "io.queue"
"""Of the root cgroup, by device; no control file has this name."""
NAMES: Final = ("scheduler", "nr_requests", "async_depth", "max_sectors_kb")
"""In the order to write them: a scheduler brings its own pool of requests, and a pool its own depth."""
DEADLINE: Final = "mq-deadline"
_PAIR: Final = re.compile(r"([a-z_]+)=([0-9a-z-]+)")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}")


def queue_of(text: object) -> dict[str, str]:
    """Return what a text says; {} for "". Raises `InvalidValue`."""
    pairs = dict(_PAIR.findall(text)) if isinstance(text, str) else {}
    if text != queue_text(pairs):
        raise InvalidValue(f"{text!r} is not {', '.join(NAMES)} as key=value", cgroup="", knob=KNOB)
    for name in NAMES[1:]:
        if name in pairs and not _NUMBER.fullmatch(pairs[name]):
            raise InvalidValue(f"{name} is a number from 1 on, not {pairs[name]}", cgroup="", knob=KNOB)
    return pairs


def queue_text(queue: Mapping[str, str | int]) -> str:
    """Return the text of a queue."""
    return " ".join(f"{name}={queue[name]}" for name in NAMES if name in queue)
