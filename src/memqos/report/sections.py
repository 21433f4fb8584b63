"""Bring new sections into the page of experiments that is there, and leave the others as they are.

A campaign over all experiments and kernels takes hours; one over a single experiment must not lose the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from memqos.errors import InputError

_SECTION: Final = re.compile(r"^## ([\w-]+):", re.MULTILINE)
_ROW: Final = re.compile(r"^\| ([\w-]+) \|.*\n", re.MULTILINE)
_RULE: Final = re.compile(r"^\| ---.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Page:
    """A page taken apart: all before the rows of its summary, these rows and the sections by experiment."""

    head: str
    rows: dict[str, str]
    sections: dict[str, str]


def merge(there: str, new: str, *, source: str) -> str:
    """Return the page `new` with those experiments of the page `there` that it has not, in their order.

    Raises `InputError`, naming `source`, when `there` is no page of experiments.
    """
    old, now = _apart(there, source), _apart(new, source)
    rows, sections = old.rows | now.rows, old.sections | now.sections
    order = sorted(sections, key=_natural)
    summary = "".join(rows.get(name, "") for name in order)
    return now.head + summary + "\n" + "\n".join(sections[name] for name in order)


def _apart(text: str, source: str) -> _Page:
    starts = list(_SECTION.finditer(text))
    front = text[: starts[0].start()] if starts else text
    rule = _RULE.search(front)
    if rule is None:
        raise InputError(
            "this is no page of experiments", source=source, remedy="name another file, or remove this one"
        )
    rows: dict[str, str] = {}
    for row in _ROW.finditer(front, rule.end()):
        rows[row[1]] = rows.get(row[1], "") + row[0]
    ends = [*(each.start() for each in starts[1:]), len(text)]
    sections = {
        each[1]: text[each.start() : end].rstrip("\n") + "\n" for each, end in zip(starts, ends, strict=True)
    }
    return _Page(front[: rule.end()], rows, sections)


def _natural(name: str) -> tuple[str, int, str]:
    """Sort e2 before e10."""
    letters, number, rest = re.fullmatch(r"(\D*)(\d*)(.*)", name).groups()  # type: ignore[union-attr]
    return letters, int(number or 0), rest
