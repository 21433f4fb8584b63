"""Pods and PriorityClasses from manifest files, as `kubectl apply -f` takes them.

A path is a YAML or JSON file, or a directory whose `*.yaml`, `*.yml` and `*.json` are read in the
order of their names (not its sub-directories, not dot files, as a kubelet's staticPodPath). A file
holds any number of documents; `kind: List` (and PodList, PriorityClassList) is unfolded. Documents
of other kinds come back in `Manifests.others`, so that a ConfigMap or a MemoryPolicy may stand in the
same file as the pods. PriorityClasses count for all pods of the same call, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memqos.cluster.documents import read_documents
from memqos.cluster.fields import At
from memqos.cluster.pod import pod_from_dict
from memqos.cluster.priority import PriorityClasses, priority_class_from
from memqos.errors import ManifestError
from memqos.model.pods import Pod

__all__ = ["Document", "Manifests", "load_manifests", "manifests_from", "pod_from_dict"]

_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of another kind, with the file (and document) it stands in."""

    source: str
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Manifests:
    """What some files hold: pods with their priority resolved, and what is neither Pod nor PriorityClass."""

    pods: tuple[Pod, ...] = ()
    others: tuple[Document, ...] = ()


def load_manifests(paths: Iterable[str | Path]) -> Manifests:
    """Read all pods of some files and directories.

    Raises `ManifestError` naming file, document, field and remedy for the first thing wrong: what
    cannot be read or parsed, a pod that is defined twice, a PriorityClass that does not exist.
    """
    return _read([each for path in paths for each in _documents(Path(path))])


def manifests_from(items: Iterable[Any], *, source: str = "", field: str = "") -> Manifests:
    """Read documents that are parsed already: the items of a list at `field` of the file `source`.

    Raises `ManifestError` as `load_manifests` does.
    """
    found = (At(item, source, f"{field}[{index}]") for index, item in enumerate(items))
    return _read([each for item in found for each in _unfold(item)])


def _read(documents: Sequence[At]) -> Manifests:
    priorities = PriorityClasses()
    for document in documents:
        if _kind(document) == "PriorityClass":
            document.get("apiVersion").one_of(("scheduling.k8s.io/v1",))
            priorities = priorities.plus(priority_class_from(document), document)
    pods: dict[str, Pod] = {}
    places: dict[str, str] = {}
    others: list[Document] = []
    for document in documents:
        kind = _kind(document)
        if kind == "Pod":
            pod = pod_from_dict(
                document.value, source=document.source, field=document.field, priorities=priorities
            )
            _refuse_second(pod, pods, places, document)
            pods[pod.key] = pod
            places[pod.key] = places[pod.uid] = f"{document.source} {document.field}".strip()
        elif kind != "PriorityClass":
            others.append(Document(document.source, kind, document.value))
    return Manifests(tuple(pods.values()), tuple(others))


def _refuse_second(pod: Pod, pods: Mapping[str, Pod], places: Mapping[str, str], at: At) -> None:
    if pod.key in pods:
        problem = f'pod "{pod.key}" is defined twice, first in {places[pod.key]}'
        raise (
            at.get("metadata").get("name").error(problem, "rename one of them, or give it another namespace")
        )
    if pod.uid in places:
        problem = f'two pods have the uid "{pod.uid}", the first in {places[pod.uid]}'
        raise at.get("metadata").get("uid").error(problem, "leave the uid out")


def _documents(path: Path) -> Iterator[At]:
    if not path.is_dir():
        files = [path]
    else:
        files = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and each.name[0] != ".")
        if not files:
            remedy = f"put a file ending in {', '.join(_SUFFIXES)} there"
            raise ManifestError("there is no manifest in this directory", source=str(path), remedy=remedy)
    for file in files:
        for source, document in read_documents(file):
            yield from _unfold(At(document, source))


def _unfold(at: At) -> Iterator[At]:
    if not isinstance(at.value, dict):
        raise at.wrong_type("a Kubernetes object", "write apiVersion, kind, metadata and spec")
    kind = _kind(at)
    if kind not in ("List", "PodList", "PriorityClassList"):
        yield at
        return
    for item in at.get("items").items():
        if not isinstance(item.value, dict):
            raise item.wrong_type("a Kubernetes object")
        if kind != "List" and "kind" not in item.value:
            version = at.get("apiVersion").value
            item = At({"apiVersion": version, "kind": kind[:-4], **item.value}, item.source, item.field)
        yield from _unfold(item)


def _kind(at: At) -> str:
    kind = at.get("kind").string()
    if not kind:
        raise at.get("kind").error("is missing", "write kind: Pod, for instance")
    if not at.get("apiVersion").string():
        raise at.get("apiVersion").error("is missing", "write apiVersion: v1 for a Pod")
    return kind
