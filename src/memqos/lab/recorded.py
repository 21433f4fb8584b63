"""Recordings that `memqos lab run --out DIR` left, and whether they still are of what would be run now.

They lie at `DIR/EXPERIMENT/KERNEL/out/record-VARIANT.json` (`-2`, `-3` for repeats), or the same in any
folder of DIR: several runs. Beside them `plays.json` says what was played and `machine.json` in what;
recordings without these (a test's) are judged by what they hold.

A recording is out of date when the file asks for something else now, or when the policy's present decisions
write other knobs than were written then: its counters are of another experiment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from memqos.errors import RecordingError
from memqos.lab.experiment import EXPERIMENTS, Experiment, Play
from memqos.lab.machine import machine_of
from memqos.lab.recording import Recording, decode
from memqos.lab.run import Machine

_CHOSEN: Final = frozenset({"name", "repeat"})
"""What of a play says which one it is, not what it does."""


@dataclass(frozen=True, slots=True)
class Found:
    """A recording and the file it was read from."""

    path: Path
    recording: Recording

    def out_of_date(self, experiment: Experiment, play: Play, simulated: Recording) -> str | None:
        """Say how it differs from what would be recorded now; `None` when it does not.

        `play` is the variant as it is now, `simulated` what it wrote when it was played on the simulated
        kernel.
        """
        home = self.path.parents[1]
        here = str(Path(experiment.source).resolve().parent)
        for then, what in ((_play(home, play.name), play), (_machine(home), machine_of(experiment))):
            if then is None:
                continue
            now = _plain(what)
            for key in sorted(now.keys() - _CHOSEN):
                if not _same(then.get(key), now[key], here):
                    return f"its {key} was another one"
        wrote, writes = _knobs(self.recording), _knobs(simulated)
        for knobs, text in (
            (wrote - writes, "was written, and is not now"),
            (writes - wrote, "was not written"),
        ):
            if knobs:
                return f"{', '.join(sorted(knobs))} {text}"
        return None


def is_recorded(directory: Path, experiment: Experiment, kernel: str) -> bool:
    """Whether there is anything below a directory for `recordings_in` to find."""
    out = f"{experiment.name}/{kernel}/out/record-*.json"
    return any(directory.glob(out)) or any(directory.glob(f"*/{out}"))


def recordings_in(
    directory: Path, experiment: Experiment, kernel: str, *, given: Path | None = None
) -> dict[str, list[Found]]:
    """Find the recordings of an experiment, by variant; raises `RecordingError` when there is none of one.

    `given` is what a person named: the directory, or the archive that was unpacked there.
    """
    found: dict[str, list[Found]] = {}
    for name in experiment.variant_names:
        paths = _files(directory, experiment, kernel, name)
        found[name] = [Found(path, decode(path.read_bytes(), source=str(path))) for path in paths]
        if not found[name]:
            place = given or directory
            file = Path(experiment.source)
            called = experiment.name if file.parent == EXPERIMENTS else file
            out, then = (f"{place}", "") if place.is_dir() else ("DIR", f", and memqos lab keep DIR {place}")
            raise RecordingError(
                f"has no recording of {experiment.name}, {name}, on {kernel}",
                source=str(place),
                remedy=f"memqos lab run {called} --kernel {kernel} --out {out}{then}",
            )
    return found


def _files(directory: Path, experiment: Experiment, kernel: str, name: str) -> Iterator[Path]:
    ours = re.compile(rf"record-{re.escape(name)}(-\d+)?\.json")
    others = {f"record-{other}.json" for other in experiment.variant_names if other != name}
    for place in ("", "*/"):
        for path in sorted(directory.glob(f"{place}{experiment.name}/{kernel}/out/record-{name}*.json")):
            if ours.fullmatch(path.name) and path.name not in others:
                yield path


def _knobs(recording: Recording) -> set[str]:
    return {each.knob for each in recording.writes if each.status == "written"}


def _play(home: Path, name: str) -> dict[str, Any] | None:
    return next(
        (_known(each, Play) for each in _read(home / "plays.json") or () if each["name"] == name), None
    )


def _machine(home: Path) -> dict[str, Any] | None:
    whole = _read(home / "machine.json")
    return None if whole is None else _known(whole["machine"], Machine)


def _known(then: dict[str, Any], kind: type[Play] | type[Machine]) -> dict[str, Any]:
    """What was written down then; what was not known of yet is as it is by default."""
    try:
        return _plain(msgspec.convert(then, kind))
    except msgspec.ValidationError:
        return then


def _read(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes()) if path.exists() else None


def _plain(value: Play | Machine) -> dict[str, Any]:
    plain = msgspec.json.decode(msgspec.json.encode(value))
    assert isinstance(plain, dict)
    return plain


def _same(then: Any, now: Any, here: str) -> bool:
    """Whether two plain values are equal, wherever the experiment's folder lay then."""
    if isinstance(now, str) and isinstance(then, str) and now.startswith(f"{here}/"):
        return then.endswith(now[len(here) :])
    if isinstance(now, dict) and isinstance(then, dict):
        return now.keys() == then.keys() and all(_same(then[key], now[key], here) for key in now)
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(_same(a, b, here) for a, b in zip(then, now, strict=True))
    return bool(then == now)
