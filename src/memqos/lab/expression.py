"""The small language of measures and expectations: numbers, names, calls, comparisons; nothing else.

::

    io("reader", "rbytes", "after") - io("reader", "rbytes", "before")
    near(small.reread, 400 * MiB, 0.02) and large.reread < 1 * MiB

It is read by Python's own parser and walked node by node; what is not listed in `_evaluate` does not
exist, so an experiment file can compute but not act. A name is a measure, a variant (`variant.name`)
or a constant (KiB, MiB, GiB). A value that a kernel does not have is `None`, and spreads.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from memqos.errors import ExperimentError
from memqos.units import GIB, KIB, MIB

_MAX_LENGTH = 500
_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ALLOWED: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Compare,
    ast.Call, ast.Name, ast.Load, ast.Attribute, ast.Constant, *_BINARY, *_COMPARE,
)  # fmt: skip


def near(value: float, wanted: float, tolerance: float) -> bool:
    """True when `value` is within `tolerance` (a share, 0.02 is 2 %) of `wanted`."""
    return abs(value - wanted) <= abs(wanted) * tolerance


CONSTANTS: Final[Mapping[str, object]] = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "true": True, "false": False}
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {"near": near, "abs": abs, "min": min, "max": max}


@dataclass(frozen=True)
class Expression:
    """One parsed expression; `place` is "file:line" for its errors."""

    text: str
    place: str
    tree: ast.expr

    @property
    def names(self) -> frozenset[str]:
        """The names it uses, functions and constants left out."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        found = (
            node for node in ast.walk(self.tree) if isinstance(node, ast.Name) and id(node) not in called
        )
        return frozenset(node.id for node in found) - CONSTANTS.keys()

    @property
    def calls(self) -> frozenset[str]:
        """The functions it calls."""
        calls = (node.func for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return frozenset(func.id for func in calls if isinstance(func, ast.Name))

    def evaluate(
        self, names: Mapping[str, object], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> Any:
        """Return a number, a truth value, or `None` when a part has no value.

        Raises `ExperimentError` for an unknown name or function, wrong types, division by zero.
        """
        try:
            value = _evaluate(self.tree, {**CONSTANTS, **names}, {**FUNCTIONS, **(functions or {})})
            if isinstance(value, float) and not math.isfinite(value):
                raise ExperimentError(f"{self.text!r} is {value}, which is no number", source=self.place)
            return value
        except _NoValue:
            return None
        except OverflowError:
            raise ExperimentError(f"{self.text!r} is too large a number", source=self.place) from None
        except ZeroDivisionError:
            raise ExperimentError(f"{self.text!r} divides by zero", source=self.place) from None
        except (TypeError, KeyError, ValueError) as error:
            problem = error.args[0] if error.args else error
            raise ExperimentError(f"{self.text!r}: {problem}", source=self.place) from None


class _NoValue(Exception):
    """A part of the expression has no value here."""


def parse(text: object, *, place: str = "") -> Expression:
    """Parse an expression; raises `ExperimentError` for anything outside the language."""
    text = str(text).strip() if isinstance(text, (str, int, float)) else ""
    if not text or len(text) > _MAX_LENGTH:
        raise ExperimentError(f"an expression has 1 to {_MAX_LENGTH} characters", source=place)
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExperimentError(f"{text!r} is not an expression: {error.args[0]}", source=place) from None
    for node in ast.walk(tree):
        problem = _problem(node)
        if problem:
            raise ExperimentError(f"{text!r}: {problem}", source=place, remedy=_REMEDY)
    return Expression(text, place, tree.body)


_REMEDY = "use numbers, names, calls, + - * /, comparisons, and, or, not"


def _problem(node: ast.AST) -> str:
    if not isinstance(node, _ALLOWED):
        return f"{type(node).__name__} is not part of the language"
    if isinstance(node, ast.Call) and (not isinstance(node.func, ast.Name) or node.keywords):
        return "a call is NAME(value, ...)"
    if isinstance(node, ast.Attribute) and not isinstance(node.value, ast.Name):
        return "a dot stands between a variant and a measure only"
    if isinstance(node, ast.Constant) and not isinstance(node.value, (int, float, str)):
        return f"{node.value!r} is not part of the language"
    return ""


def _evaluate(node: ast.expr, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    def of(part: ast.expr) -> Any:
        return _evaluate(part, names, functions)

    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _look_up(names, name)
        case ast.Attribute(value=ast.Name(id=outer), attr=name):
            return _look_up(_look_up(names, outer), name)
        case ast.Call(func=ast.Name(id=name), args=args):
            if name not in functions:
                raise KeyError(f"there is no function {name}")
            return _known(functions[name](*[of(each) for each in args]))
        case ast.UnaryOp(op=op, operand=operand):
            return not of(operand) if isinstance(op, ast.Not) else -_number(of(operand))
        case ast.BinOp(left=left, op=operator_, right=right):
            return _BINARY[type(operator_)](_number(of(left)), _number(of(right)))
        case ast.BoolOp(op=op, values=values):
            return (all if isinstance(op, ast.And) else any)(of(each) for each in values)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [of(left), *(of(each) for each in comparators)]
            pairs = zip(ops, pairwise(sides), strict=True)
            return all(_COMPARE[type(sign)](one, other) for sign, (one, other) in pairs)
    raise TypeError(f"{type(node).__name__} is not part of the language")


def _look_up(names: Any, name: str) -> Any:
    if not isinstance(names, Mapping) or name not in names:
        raise KeyError(f"{name} is not known here")
    return _known(names[name])


def _known(value: Any) -> Any:
    if value is None:
        raise _NoValue
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return value
