"""A workload from its YAML file, whose form `spec` describes; whatever is wrong is one error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from memqos.cluster.documents import read_documents
from memqos.cluster.fields import At, shown
from memqos.errors import ExperimentError, ManifestError
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
from memqos.workload.values import (
    MAX,
    block_of,
    bytes_of,
    exactly,
    not_both,
    number_of,
    only,
    order_of,
    pages_of,
    passes_of,
    path_of,
    rate_of,
    required,
    seconds_of,
)

API_VERSION: Final = "memqos.dev/v1alpha1"
KIND: Final = "Workload"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME_RULE = "use lower case letters, digits and '-'"


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
        only(at, "apiVersion", "kind", "metadata", "seed", "phases")
        exactly(at.get("kind"), KIND)
        exactly(at.get("apiVersion"), API_VERSION)
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
    only(at, "name", "size", "hugePages")
    name = at.get("name").name(_NAME, _NAME_RULE)
    return Allocate(name, pages_of(at.get("size")), at.get("hugePages").boolean())


def _mmap(at: At) -> Phase:
    only(at, "name", "path", "size", "write")
    size = at.get("size")
    return MapFile(
        at.get("name").name(_NAME, _NAME_RULE),
        path_of(at.get("path")),
        None if size.value is None else pages_of(size),
        at.get("write").boolean(),
    )


def _touch(at: At) -> Phase:
    only(at, "region", "order", "write", "accesses", "passes", "offset", "size", "bytesPerSecond")
    offset, size = at.get("offset"), at.get("size")
    start = 0 if offset.value is None else bytes_of(offset, 0)
    if start % PAGE:
        raise offset.error(f"{start} is not a multiple of the page size", f"write a multiple of {PAGE}")
    return Touch(
        region=at.get("region").name(_NAME, _NAME_RULE),
        order=order_of(at.get("order"), Order()),
        write=at.get("write").boolean(),
        accesses=at.get("accesses").integer(1, MAX),
        passes=passes_of(at, "accesses"),
        offset=start,
        size=None if size.value is None else pages_of(size),
        bytes_per_second=rate_of(at),
    )


def _read(at: At) -> Phase:
    only(at, "path", "bytes", "passes", "block", "order", "bytesPerSecond")
    amount = at.get("bytes")
    return ReadFile(
        path=path_of(at.get("path")),
        bytes=None if amount.value is None else bytes_of(amount),
        passes=passes_of(at, "bytes"),
        block=block_of(at.get("block"), 128 << 10),
        order=order_of(at.get("order"), Order()),
        bytes_per_second=rate_of(at),
    )


def _write(at: At) -> Phase:
    only(at, "path", "size", "block", "sync", "bytesPerSecond")
    return WriteFile(
        path=path_of(at.get("path")),
        size=bytes_of(required(at.get("size"))),
        block=block_of(at.get("block"), 1 << 20),
        sync=at.get("sync").boolean(),
        bytes_per_second=rate_of(at),
    )


def _requests(at: At) -> Phase:
    only(at, "region", "pages", "order", "write", "perSecond", "seconds", "count", "report", "file")
    not_both(at, "seconds", "count")
    pages = required(at.get("pages")).integer(0, 1 << 24) or 0
    file, report = at.get("file"), at.get("report")
    if not pages and file.value is None:
        raise at.get("pages").error("a request does nothing", "let it touch pages, or read a file")
    return Requests(
        region=at.get("region").name(_NAME, _NAME_RULE),
        pages=pages,
        per_second=number_of(required(at.get("perSecond")), 1e-3, 1e6),
        order=order_of(at.get("order"), Order("uniform")),
        write=at.get("write").boolean(),
        seconds=seconds_of(at.get("seconds")),
        count=at.get("count").integer(1, MAX),
        report=None if report.value is None else number_of(report, 1e-3, 1e6),
        file=None if file.value is None else _request_file(file),
    )


def _request_file(at: At) -> RequestFile:
    only(at, "path", "bytes", "block", "order")
    return RequestFile(
        path=path_of(at.get("path")),
        bytes=bytes_of(required(at.get("bytes"))),
        block=block_of(at.get("block"), PAGE),
        order=order_of(at.get("order"), Order("uniform")),
    )


def _free(at: At) -> Phase:
    only(at, "region", "size")
    size = at.get("size")
    return Free(at.get("region").name(_NAME, _NAME_RULE), None if size.value is None else pages_of(size))


def _sleep(at: At) -> Phase:
    only(at, "seconds")
    return Sleep(seconds_of(required(at.get("seconds"))) or 0.0)


def _hold(at: At) -> Phase:
    only(at, "seconds")
    return Hold(seconds_of(at.get("seconds")))


def _repeat(at: At) -> Phase:
    only(at, "times", "phases")
    times = at.get("times").integer(1, MAX)
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
