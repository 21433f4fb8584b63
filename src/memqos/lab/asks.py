"""Whether an experiment's measures can be answered: the pods, marks, disks and series they name must exist.

The names of a question's parameters say what kind of thing each is. What only a recording can tell (a counter
that a kernel may not have, a command that was run) is not checked here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Mapping
from typing import Final

from memqos.errors import ExperimentError
from memqos.lab.experiment import Experiment, Play
from memqos.lab.expression import FUNCTIONS, Expression
from memqos.lab.questions import signatures
from memqos.lab.timeline import containers_of
from memqos.lab.variant import members_of, name_of

_MARKS: Final = ("mark", "start", "end")


def check(experiment: Experiment, plays: list[Play]) -> None:
    """Raise `ExperimentError` for the first call that names what there is not, or has not its arguments."""
    known = _known(experiment, plays)
    questions = signatures() | {
        name: inspect.signature(function) for name, function in FUNCTIONS.items() if name == "near"
    }
    for part in ("series", "measures"):
        for name, expression in experiment.expressions(part).items():
            for call in ast.walk(expression.tree):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                    problem = _problem(call, call.func.id, questions.get(call.func.id), known)
                    if problem:
                        _raise(expression, f"{part}.{name}.of", *problem)


def _raise(expression: Expression, field: str, problem: str, remedy: str) -> None:
    raise ExperimentError(
        f"{expression.text!r}: {problem}", source=expression.place, field=field, remedy=remedy
    )


def _known(experiment: Experiment, plays: list[Play]) -> dict[str, Collection[str]]:
    """The names there are, by what they name."""
    pods: dict[str, None] = dict.fromkeys(experiment.copies)
    marks: dict[str, None] = {}
    for play in plays:
        for pod in play.pods:
            if pod.get("kind") == "Pod":
                pods[name_of(pod)] = None
                pods |= dict.fromkeys(f"{name_of(pod)}/{each}" for each in containers_of(pod))
        marks |= {step.mark: None for step in play.timeline if step.mark is not None}
    return {
        "pod": pods,
        "mark": marks,
        "disk": experiment.disks,
        "series": experiment.series,
    }


def _problem(
    call: ast.Call, function: str, signature: inspect.Signature | None, known: Mapping[str, Collection[str]]
) -> tuple[str, str] | None:
    if signature is None:
        return None
    try:
        given = signature.bind(*call.args).arguments
    except TypeError as error:
        return f"{function}: {error}", f"write {function}({', '.join(signature.parameters)})"
    for name, node in given.items():
        what = _what(function, name)
        if what is None or not isinstance(node, ast.Constant) or node.value == "":
            continue
        names = known[what]
        if node.value not in names and not (what == "pod" and members_of(str(node.value), names)):
            return (
                f"there is no {what} {node.value!r}",
                f"use {', '.join(names) or f'a {what} that there is'}",
            )
    return None


def _what(function: str, parameter: str) -> str | None:
    """What a parameter names, of what is known beforehand."""
    if parameter in _MARKS:
        return "mark"
    if parameter == "name" and function != "took":
        return "series"
    return parameter if parameter in ("pod", "disk") else None
