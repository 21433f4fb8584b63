from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec import structs

from memqos.cli import exits
from memqos.linux.node import LinuxNode
from memqos.model.snapshot import Counters, Pressure, PressureLine, Snapshot
from memqos.units import GIB


def test_a_plan_needs_neither_root_nor_a_kernel(run, manifest: Path) -> None:
    status, out, _ = run("plan", "--pods", manifest, "--node-memory", "1Gi", "--node-swap", "512Mi", "--json")
    writes = json.loads(out)["writes"]
    (swap,) = [
        each for each in writes if each["knob"] == "memory.swap.max" and each["cgroup"].endswith("/main")
    ]
    assert status == exits.OK
    assert swap["then"] == 64 << 20
    assert "annotation memqos.dev/swap-limit" in swap["why"]
    assert swap["now"] is None


def test_a_plan_for_an_imagined_node_needs_manifests(run) -> None:
    status, _, err = run("plan", "--node-memory", "1Gi")
    assert status == exits.BAD_INPUT
    assert "--pods" in err


def test_a_broken_manifest_is_named_with_its_field(run, tmp_path: Path, manifest: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(manifest.read_text().replace("64Mi}}", "64Mo}}"))
    status, out, err = run("plan", "--pods", path, "--node-memory", "1Gi")
    assert (status, out) == (exits.BAD_INPUT, "")
    assert "bad.yaml" in err
    assert "limits.memory" in err


def test_a_plan_writes_nothing(run, tree: Path, manifest: Path) -> None:
    before = {path: path.read_text() for path in tree.rglob("*") if path.is_file()}
    status, _, _ = run("plan", "--cgroup-root", tree, "--pods", manifest)
    assert status == exits.OK
    assert {path: path.read_text() for path in tree.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("seconds", "step"), [("0", "calm"), ("0.3", "act")])
def test_a_plan_knows_what_shows_only_over_time(
    run, tree: Path, kubelet_pods: Path, monkeypatch: pytest.MonkeyPatch, seconds: str, step: str
) -> None:
    """A pod that runs into its memory.high on a node with memory to spare is lent some, once that is seen."""
    for path in tree.rglob("memory.high"):
        path.write_text("8388608\n")
    observe, looks = LinuxNode.observe, iter(range(1, 9))

    def observed(node: LinuxNode) -> Snapshot:
        seen, high = observe(node), next(looks)
        cgroups = {
            path: structs.replace(
                cgroup,
                memory_events=Counters.of({"max": 0, "high": 100 * high, "low": 0}),
                memory_pressure=Pressure(PressureLine(0, 0, 0, 200_000 * high), PressureLine(0, 0, 0, 0)),
            )
            if path
            else cgroup
            for path, cgroup in seen.cgroups.items()
        }
        meminfo = Counters.of({"MemTotal": 8 * GIB, "MemFree": 7 * GIB, "MemAvailable": 7 * GIB})
        return structs.replace(seen, cgroups=cgroups, node=structs.replace(seen.node, meminfo=meminfo))

    monkeypatch.setattr(LinuxNode, "observe", observed)
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods]
    _, out, _ = run("plan", *arguments, "--seconds", seconds, "--json")
    steps = {each["rung"]: each["step"] for each in json.loads(out)["ladder"]}
    assert steps["relax"] == step


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--node-memory", "0"], "--node-memory: is 0; write a size such as 8Gi"),
        (["--node-memory", ""], "--node-memory: '' is not a quantity"),
        (["--node-memory", "8Gi", "--node-swap", "-1"], "--node-swap: '-1' is negative"),
        (["--node-swap", "1Gi"], "--node-swap is only for --node-memory; give --node-memory"),
    ],
)
def test_a_node_that_cannot_be_is_named_by_its_option(
    run, manifest: Path, arguments: list[str], error: str
) -> None:
    status, _, err = run("plan", "--pods", manifest, *arguments)
    assert status == exits.BAD_INPUT
    assert error in err


def test_a_wrong_path_is_told_before_the_node_is_looked_at(run, tmp_path: Path) -> None:
    status, _, err = run("plan", "--cgroup-root", tmp_path / "no", "--pods", tmp_path / "nowhere")
    assert status == exits.BAD_INPUT
    assert f"{tmp_path}/nowhere: cannot be read" in err


def test_a_plan_to_run_pods_enforces_what_the_kubelets_configuration_reserves(
    run, tree: Path, manifest: Path, tmp_path: Path
) -> None:
    daemons = tree / "system.slice"
    shutil.copytree(tree / "kubepods/burstable/pod6c1a4e95-6bb6-11e6-bc26-28d2444e470d/main", daemons)
    (daemons / "cpu.weight").write_text("100\n")
    config = tmp_path / "kubelet.yaml"
    config.write_text(
        "enforceNodeAllocatable: [pods, system-reserved]\nsystemReservedCgroup: /system.slice\n"
        "systemReserved: {cpu: 500m, memory: 1Gi}\n"
    )
    words = ["--cgroup-root", tree, "--kubelet-config", config, "--seconds", "0", "--json"]
    _, out, _ = run("plan", "--pods", manifest, *words)
    found = {(each["cgroup"], each["knob"]): each["then"] for each in json.loads(out)["writes"]}
    assert found["system.slice", "memory.max"] == 1 << 30
    assert found["system.slice", "cpu.weight"] == 20
