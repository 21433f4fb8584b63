"""A workload from its YAML file (the form is in `spec`); one clear error for whatever is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from memqos.cluster.documents import read_documents
from memqos.cluster.fields import At, shown
from memqos.errors import ExperimentError, ManifestError
from memqos.workload.draws import MAX_PLACES
from memqos.workload.flow import check_regions
from memqos.workload.spec import (
    PAGE,
    Allocate,
    Free,
    Hold,
    MapFile,
    Order,
    Phase,
    ReadFile,
    Repeat,
    RequestFile,
    Requests,
    Sleep,
    Touch,
    Workload,
    WriteFile,
)
from memqos.workload.steps import takes_time

API_VERSION: Final = "memqos.dev/v1alpha1"
KIND: Final = "Workload"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME_RULE = "use lower case letters, digits and '-'"
_MAX = 2**53
"""Bound of counts, exact as a double too."""
_MAX_SECONDS = 10 * 365 * 86400


def load_workload(path: str | Path) -> Workload:
    """Read a workload file. Raises `ExperimentError` naming file, field and remedy."""
    try:
        documents = list(read_documents(Path(path)))
    except ManifestError as error:
        raise ExperimentError(error.problem, source=error.source, remedy=error.remedy) from None
    if len(documents) != 1:
        raise ExperimentError(
            f"holds {len(documents)} documents", source=str(path), remedy=f"write one of kind {KIND}"
        )
    return workload_from(documents[0][1], source=str(path))


def workload_document(body: Any) -> Any:
    """Return a whole document of a workload's `phases` (and `seed`), as another file holds them."""
    head = {"apiVersion": API_VERSION, "kind": KIND}
    return {**head, **body} if isinstance(body, dict) else body


def workload_from(document: Any, *, source: str = "") -> Workload:
    """Build a workload from its document. Raises `ExperimentError`."""
    try:
        at = At(document, source)
        _only(at, "apiVersion", "kind", "metadata", "seed", "phases")
        _exactly(at.get("kind"), KIND)
        _exactly(at.get("apiVersion"), API_VERSION)
        seed = at.get("seed").integer(0, 2**64 - 1) or 0
        phases = _phases(at.get("phases"))
        check_regions(phases, source)
    except ManifestError as error:
        raise ExperimentError(
            error.problem, source=error.source, field=error.field, remedy=error.remedy
        ) from None
    return Workload(phases, seed, source)


def _phases(at: At) -> tuple[Phase, ...]:
    phases = tuple(_phase(item) for item in at.items())
    if not phases:
        raise at.error("is missing or empty", "list at least one phase")
    return phases


def _phase(at: At) -> Phase:
    entries = list(at.entries())
    if len(entries) != 1:
        raise at.error(f"has {len(entries)} kinds", f"write one of {', '.join(_KINDS)}")
    kind, body = entries[0]
    if kind not in _KINDS:
        raise body.error(f"the phase {shown(kind)} is not known", f"write one of {', '.join(_KINDS)}")
    return _KINDS[kind](body)


def _allocate(at: At) -> Phase:
    _only(at, "name", "size", "hugePages")
    name = at.get("name").name(_NAME, _NAME_RULE)
    return Allocate(name, _pages(at.get("size")), at.get("hugePages").boolean())


def _mmap(at: At) -> Phase:
    _only(at, "name", "path", "size", "write")
    size = at.get("size")
    return MapFile(
        at.get("name").name(_NAME, _NAME_RULE),
        _path(at.get("path")),
        None if size.value is None else _pages(size),
        at.get("write").boolean(),
    )


def _touch(at: At) -> Phase:
    _only(at, "region", "order", "write", "accesses", "passes", "offset", "size", "bytesPerSecond")
    offset, size = at.get("offset"), at.get("size")
    start = 0 if offset.value is None else _bytes(offset, 0)
    if start % PAGE:
        raise offset.error(f"{start} is not a multiple of the page size", f"write a multiple of {PAGE}")
    return Touch(
        region=at.get("region").name(_NAME, _NAME_RULE),
        order=_order(at.get("order"), Order()),
        write=at.get("write").boolean(),
        accesses=at.get("accesses").integer(1, _MAX),
        passes=_passes(at, "accesses"),
        offset=start,
        size=None if size.value is None else _pages(size),
        bytes_per_second=_rate(at),
    )


def _read(at: At) -> Phase:
    _only(at, "path", "bytes", "passes", "block", "order", "bytesPerSecond")
    amount = at.get("bytes")
    return ReadFile(
        path=_path(at.get("path")),
        bytes=None if amount.value is None else _bytes(amount),
        passes=_passes(at, "bytes"),
        block=_block(at.get("block"), 128 << 10),
        order=_order(at.get("order"), Order()),
        bytes_per_second=_rate(at),
    )


def _write(at: At) -> Phase:
    _only(at, "path", "size", "block", "sync", "bytesPerSecond")
    return WriteFile(
        path=_path(at.get("path")),
        size=_bytes(_required(at.get("size"))),
        block=_block(at.get("block"), 1 << 20),
        sync=at.get("sync").boolean(),
        bytes_per_second=_rate(at),
    )


def _requests(at: At) -> Phase:
    _only(at, "region", "pages", "order", "write", "perSecond", "seconds", "count", "report", "file")
    _not_both(at, "seconds", "count")
    pages = _required(at.get("pages")).integer(0, 1 << 24) or 0
    file = at.get("file")
    if not pages and file.value is None:
        raise at.get("pages").error("a request does nothing", "let it touch pages, or read a file")
    return Requests(
        region=at.get("region").name(_NAME, _NAME_RULE),
        pages=pages,
        per_second=_number(_required(at.get("perSecond")), 1e-3, 1e6),
        order=_order(at.get("order"), Order("uniform")),
        write=at.get("write").boolean(),
        seconds=_seconds(at.get("seconds")),
        count=at.get("count").integer(1, _MAX),
        report=_seconds(at.get("report")),
        file=None if file.value is None else _request_file(file),
    )


def _request_file(at: At) -> RequestFile:
    _only(at, "path", "bytes", "block", "order")
    return RequestFile(
        path=_path(at.get("path")),
        bytes=_bytes(_required(at.get("bytes"))),
        block=_block(at.get("block"), PAGE),
        order=_order(at.get("order"), Order("uniform")),
    )


def _free(at: At) -> Phase:
    _only(at, "region", "size")
    size = at.get("size")
    return Free(at.get("region").name(_NAME, _NAME_RULE), None if size.value is None else _pages(size))


def _sleep(at: At) -> Phase:
    _only(at, "seconds")
    return Sleep(_seconds(_required(at.get("seconds"))) or 0.0)


def _hold(at: At) -> Phase:
    _only(at, "seconds")
    return Hold(_seconds(at.get("seconds")))


def _repeat(at: At) -> Phase:
    _only(at, "times", "phases")
    times = at.get("times").integer(1, _MAX)
    phases = _phases(at.get("phases"))
    if times is None and not takes_time(phases):
        raise at.error("repeats for ever what takes no time", "give it `times`, or a sleep")
    return Repeat(phases, times)


_KINDS: Final[dict[str, Callable[[At], Phase]]] = {
    "allocate": _allocate,
    "mmap": _mmap,
    "touch": _touch,
    "read": _read,
    "write": _write,
    "requests": _requests,
    "free": _free,
    "sleep": _sleep,
    "hold": _hold,
    "repeat": _repeat,
}


def _order(at: At, default: Order) -> Order:
    if at.value is None:
        return default
    if not isinstance(at.value, dict):
        kind = at.one_of(("sequential", "uniform"))
        return Order("uniform") if kind == "uniform" else Order()
    _only(at, "zipf", "hotCold", "scatter")
    scatter = at.get("scatter").boolean()
    zipf, hot = at.get("zipf"), at.get("hotCold")
    if (zipf.value is None) == (hot.value is None):
        raise at.error("needs one distribution", "write zipf: EXPONENT, or hotCold: {fraction, probability}")
    if zipf.value is not None:
        return Order("zipf", exponent=_number(zipf, 0, 10), scatter=scatter)
    _only(hot, "fraction", "probability")
    return Order(
        "hotCold",
        fraction=_number(_required(hot.get("fraction")), 0, 1),
        probability=_number(_required(hot.get("probability")), 0, 1),
        scatter=scatter,
    )


def _only(at: At, *known: str) -> None:
    if not isinstance(at.value, dict):
        raise at.wrong_type("a mapping") if at.value is not None else at.error("is empty", _fields(known))
    for key in at.value:
        if key not in known:
            raise at.error(f"the field {shown(key)} is not known", _fields(known))


def _fields(known: tuple[str, ...]) -> str:
    return f"write {', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else f"write {known[0]}"


def _exactly(at: At, wanted: str) -> None:
    if at.string() != wanted:
        raise at.error(f"{shown(at.value)} is not a workload's", f"write {wanted}")


def _required(at: At) -> At:
    if at.value is None:
        raise at.error("is missing", "give it a value")
    return at


def _not_both(at: At, one: str, other: str) -> None:
    if at.get(one).value is not None and at.get(other).value is not None:
        raise at.get(other).error(f"stands beside {one}", "write one of the two")


def _passes(at: At, other: str) -> int:
    _not_both(at, other, "passes")
    return at.get("passes").integer(1, _MAX) or 1


def _bytes(at: At, low: int = 1) -> int:
    size = at.quantity().value
    if not low <= size <= MAX_PLACES * PAGE:
        raise at.error(f"{size} bytes is out of range", f"write {low} to {MAX_PLACES * PAGE} bytes")
    return size


def _pages(at: At) -> int:
    return -(-_bytes(_required(at)) // PAGE) * PAGE


def _block(at: At, default: int) -> int:
    if at.value is None:
        return default
    block = _bytes(at)
    if block % 512 or block > 64 << 20:
        raise at.error(f"{block} bytes is not a block", "write a multiple of 512 of at most 64Mi")
    return block


def _rate(at: At) -> int | None:
    rate = at.get("bytesPerSecond")
    return None if rate.value is None else _bytes(rate)


def _seconds(at: At) -> float | None:
    return None if at.value is None else _number(at, 0, _MAX_SECONDS, exclusive=True)


def _number(at: At, low: float, high: float, *, exclusive: bool = False) -> float:
    value = at.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise at.wrong_type("a number")
    if not math.isfinite(value) or not low <= value <= high or (exclusive and value == low):
        bounds = f"above {low:g}, up to {high:g}" if exclusive else f"of {low:g} to {high:g}"
        raise at.error(f"{shown(value)} is out of range", f"write a number {bounds}")
    return float(value)


def _path(at: At) -> str:
    path = _required(at).string()
    if not path or "\0" in path:
        raise at.error("is not a path", "write the file's path")
    return path
