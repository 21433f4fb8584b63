"""Whether the regions that a phase needs are there: mapped before, not yet freed, large enough, writable."""

from __future__ import annotations

from memqos.cluster.fields import At
from memqos.workload.spec import KINDS, Allocate, Free, MapFile, Phase, Repeat, Requests, Touch

Regions = dict[str, Allocate | MapFile]


def check_regions(phases: tuple[Phase, ...], source: str = "") -> None:
    """Walk the phases as they will be done. Raises `ManifestError` for the first that cannot."""
    _walk(phases, {}, "phases", source)


def _walk(phases: tuple[Phase, ...], live: Regions, field: str, source: str) -> None:
    for index, phase in enumerate(phases):
        at = At(None, source, f"{field}[{index}]")
        if isinstance(phase, Repeat):
            # what a second round would find differs from the first; a third finds what the second did
            for _ in range(2 if phase.times != 1 else 1):
                _walk(phase.phases, live, f"{at.field}.repeat.phases", source)
        elif isinstance(phase, (Allocate, MapFile)):
            if phase.name in live:
                raise _below(at, phase, "name").error(
                    f'the region "{phase.name}" is mapped already', "free it first, or take another name"
                )
            live[phase.name] = phase
        elif isinstance(phase, Touch):
            _part(
                phase.offset + (phase.size or 1),
                _region(phase.region, phase.write, live, at, phase),
                at,
                phase,
            )
        elif isinstance(phase, Requests):
            _region(phase.region, phase.write, live, at, phase)
        elif isinstance(phase, Free):
            region = _region(phase.region, False, live, at, phase)
            if phase.size is None:
                del live[phase.region]
            else:
                _part(phase.size, region, at, phase)


def _region(
    name: str, write: bool, live: Regions, at: At, phase: Touch | Requests | Free
) -> Allocate | MapFile:
    found = live.get(name)
    if found is None:
        raise _below(at, phase, "region").error(
            f'there is no region "{name}" at this point', "allocate or mmap it before"
        )
    if write and isinstance(found, MapFile) and not found.write:
        raise _below(at, phase, "write").error(
            f'the region "{name}" is read-only', "give its mmap `write: true`"
        )
    return found


def _part(end: int, region: Allocate | MapFile, at: At, phase: Touch | Free) -> None:
    if region.size is not None and end > region.size:
        raise _below(at, phase, "size").error(
            f'reaches beyond the {region.size} bytes of the region "{region.name}"', "make it smaller"
        )


def _below(at: At, phase: Phase, field: str) -> At:
    return At(None, at.source, f"{at.field}.{KINDS[type(phase)]}.{field}")
