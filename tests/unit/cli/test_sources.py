from __future__ import annotations

import json
from pathlib import Path

import pytest

from memqos.cli import exits
from memqos.cli.sources import PodSource
from memqos.linux.node import LinuxNode


@pytest.mark.parametrize("command", ["run", "plan"])
def test_who_decides_about_pods_wants_to_know_which(run, command: str) -> None:
    status, out, err = run(command)
    assert (status, out) == (exits.BAD_INPUT, "")
    assert err.startswith("memqos: no pods are named; give --pods PATH")
    assert "kubectl get --raw /api/v1/nodes/NODE/proxy/pods" in err


def test_manifests_without_a_pod_are_an_error_that_says_what_they_hold(run, manifest: Path) -> None:
    manifest.write_text(
        manifest.read_text().replace("kind: Pod", "kind: Deployment").replace("v1", "apps/v1")
    )
    status, _, err = run("plan", "--pods", manifest, "--node-memory", "1Gi")
    assert status == exits.BAD_INPUT
    assert f"{manifest}: there is no Pod, only Deployment; write manifests of kind Pod" in err


def test_a_kind_of_several_lines_stays_one_sentence(run, manifest: Path) -> None:
    manifest.write_text('apiVersion: v1\nkind: "one\\ntwo"\n')
    _, _, err = run("plan", "--pods", manifest, "--node-memory", "1Gi")
    assert err.count("\n") == 1
    assert 'there is no Pod, only "one\\ntwo";' in err


def test_a_list_of_another_node_is_told_once(
    tree: Path, kubelet_pods: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(uid: str, looks: int = 1) -> str:
        document = json.loads(kubelet_pods.read_text())
        document["items"][0]["metadata"]["uid"] = uid
        document["items"][0]["status"] = {"phase": "Running"}
        kubelet_pods.write_text(json.dumps(document))
        source = PodSource((), kubelet_pods)
        for _ in range(looks):
            source.placed(snapshot)
        return capsys.readouterr().err

    with LinuxNode(str(tree)) as node:
        snapshot = node.observe()
    assert told("6c1a4e95-6bb6-11e6-bc26-28d2444e470d") == ""
    said = "none of its 1 running pods has a cgroup here; see that it is the list of this node's kubelet"
    assert told("another", looks=3).count(said) == 1
