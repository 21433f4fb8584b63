"""The pods of an experiment, read as `kubectl apply` would read them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from memqos.cluster.manifest import Manifests, load_manifests
from memqos.errors import ExperimentError, InputError
from memqos.lab.experiment import Play


def manifests_of(play: Play, *, source: str = "") -> Manifests:
    """Return the pods and priorities of one variant; raises `ExperimentError`."""
    document = {"apiVersion": "v1", "kind": "List", "items": play.pods}
    with tempfile.TemporaryDirectory(prefix="memqos-") as directory:
        path = Path(directory) / "pods.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        try:
            manifests = load_manifests([path])
        except InputError as error:
            raise ExperimentError(
                error.problem, source=source, field=error.field.replace("items", "pods"), remedy=error.remedy
            ) from None
    if manifests.others:
        kind = manifests.others[0].kind
        raise ExperimentError(
            f"kind {kind} is no pod", source=source, field="pods", remedy="policy: is its own field"
        )
    return manifests
