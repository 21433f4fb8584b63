"""Results: what was measured, beside what the field study says and whether it holds.

Plain data that a report draws and JSON keeps. `evaluate` works it out from the recordings, so a
measure can be changed and asked again without a new run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from statistics import median
from typing import Any, Final

from memqos.errors import ExperimentError
from memqos.lab.experiment import Experiment
from memqos.lab.expression import Expression
from memqos.lab.questions import Questions
from memqos.lab.recording import Executed, Happened, Look, Recording, Written

SIMULATED: Final = "simulated"
"""What stands in the place of how a virtual machine was accelerated."""


@dataclass(frozen=True)
class Measure:
    """One value, with its unit (bytes, count, seconds, percent, yes_no, ratio); `None`: not on this kernel.

    Of several runs it is their median; `least` and `most` are the spread.
    """

    name: str
    value: float | None
    unit: str
    text: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Series:
    """One curve: values over seconds since the variant began."""

    name: str
    unit: str
    text: str
    seconds: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Check:
    """One expectation. `holds` is `None` where the kernel lacks what it asks for.

    `measured` are the measures it is about, named `variant.measure` where there are variants.
    """

    that: str
    study: str
    holds: bool | None
    measured: tuple[Measure, ...]
    problem: str = ""


@dataclass(frozen=True)
class VariantResult:
    """One variant: its measures, curves and everything that happened; of several runs the first's."""

    name: str
    text: str
    measures: tuple[Measure, ...]
    series: tuple[Series, ...]
    execs: Mapping[str, Executed]
    events: tuple[Happened, ...]
    writes: tuple[Written, ...]
    kernel_log: tuple[str, ...]
    seconds: float
    runs: int = 1


@dataclass(frozen=True)
class ExperimentResult:
    """One experiment on one kernel. `problem` is set when it could not be run to its end."""

    name: str
    title: str
    study: str
    kernel: str
    kernel_release: str
    kernel_version: str
    accel: str
    seconds: float
    variants: tuple[VariantResult, ...] = ()
    checks: tuple[Check, ...] = ()
    problem: str = ""

    @property
    def holds(self) -> bool:
        """True when it ran and every expectation that this kernel can answer, if there is any, holds."""
        return not self.problem and all(check.holds is not False for check in self.checks)


def evaluate_variant(experiment: Experiment, recording: Recording) -> VariantResult:
    """Ask one recording all that the experiment asks; raises `ExperimentError`."""
    series = _series(experiment, recording)
    curves = {each.name: each.values for each in series}
    end = max([*recording.samples, *recording.marks.values()], key=attrgetter("seconds"), default=None)
    functions = Questions(recording, end, curves).functions()
    values: dict[str, object] = {}
    for name, expression in experiment.expressions("measures").items():
        values[name] = expression.evaluate(values, functions)
    variant = next((each for each in experiment.variants if each.name == recording.variant), None)
    return VariantResult(
        name=recording.variant,
        text=variant.text if variant else "",
        measures=tuple(
            Measure(name, _number(values[name]), ask.unit, ask.text)
            for name, ask in experiment.measures.items()
        ),
        series=series,
        execs=recording.execs,
        events=tuple(recording.events),
        writes=tuple(recording.writes),
        kernel_log=tuple(recording.kernel_log),
        seconds=recording.seconds,
    )


def median_of(repeats: Sequence[VariantResult]) -> VariantResult:
    """Return several runs of one variant as one: each measure is their median, with its spread."""
    if len(repeats) == 1:
        return repeats[0]
    measures = []
    for each in zip(*(run.measures for run in repeats), strict=True):
        known = [measure.value for measure in each if measure.value is not None]
        spread = (min(known), max(known)) if known else (None, None)
        value = median(known) if known else None
        measures.append(replace(each[0], value=value, least=spread[0], most=spread[1]))
    return replace(repeats[0], measures=tuple(measures), runs=len(repeats))


def check(experiment: Experiment, variants: Sequence[VariantResult], kernel: str) -> tuple[Check, ...]:
    """Return every expectation that is meant for this kernel, with whether it holds."""
    by_name: dict[str, Any] = {}
    if len(variants) == 1:
        by_name |= {measure.name: measure.value for measure in variants[0].measures}
    by_name |= {each.name: {measure.name: measure.value for measure in each.measures} for each in variants}
    checks = []
    for expect, expression in experiment.expectations():
        if expect.kernels and kernel not in expect.kernels:
            continue
        try:
            answer, problem = expression.evaluate(by_name), ""
        except ExperimentError as error:
            answer, problem = False, str(error)
        holds = None if answer is None else bool(answer)
        measured = _measured(expression, variants)
        checks.append(Check(expect.that, expect.study, holds, measured, problem))
    return tuple(checks)


def _series(experiment: Experiment, recording: Recording) -> tuple[Series, ...]:
    looks = recording.samples
    found = []
    for name, expression in experiment.expressions("series").items():
        ask = experiment.series[name]
        values = tuple(_number(_ask(expression, recording, look)) for look in looks)
        found.append(Series(name, ask.unit, ask.text, tuple(look.seconds for look in looks), values))
    return tuple(found)


def _ask(expression: Expression, recording: Recording, look: Look) -> Any:
    return expression.evaluate({}, Questions(recording, look, {}).functions())


def _measured(expression: Expression, variants: Sequence[VariantResult]) -> tuple[Measure, ...]:
    """Return the measures that an expectation names."""
    found = []
    for variant in variants:
        for measure in variant.measures:
            name = measure.name if len(variants) == 1 else f"{variant.name}.{measure.name}"
            if name in expression.text:
                found.append(replace(measure, name=name))
    return tuple(found)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    return int(value) if isinstance(value, (bool, int)) or float(value).is_integer() else float(value)
