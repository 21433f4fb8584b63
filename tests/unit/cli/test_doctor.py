from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from msgspec import structs

from memqos.cli import exits
from memqos.linux.node import LinuxNode
from memqos.model.snapshot import Disk, IoStat, Snapshot, Swap
from memqos.units import GIB


def test_the_doctor_finds_what_is_missing_and_says_the_remedy(run, tmp_path: Path) -> None:
    status, out, _ = run("doctor", "--cgroup-root", tmp_path, "--json")
    findings = {each["what"]: each for each in json.loads(out)["findings"]}
    assert status == exits.NOT_HELD
    assert findings["cgroup v2"]["state"] == "fault"
    assert findings["cgroup v2"]["remedy"]


@pytest.fixture
def slow_swap(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the node swap to /dev/vdb, which takes 50 ms a request, and have a disk vda besides."""
    observe = LinuxNode.observe
    disks = {
        "253:0": Disk("253:0", "vda", 0, 0, 0, 0, 0, 0, weighted_time_us=0),
        "253:16": Disk("253:16", "vdb", 5000, 0, 5000, 0, 0, 0, weighted_time_us=500_000_000),
    }

    def observed(node: LinuxNode) -> Snapshot:
        seen = observe(node)
        facts = structs.replace(
            seen.node, disks=disks, swaps=(Swap("/dev/vdb", "partition", GIB, 0, -2, device="253:16"),)
        )
        root = structs.replace(seen.cgroups[""], io_stat={device: IoStat() for device in disks})
        return structs.replace(
            seen, node=facts, cgroups={**seen.cgroups, "": root}, features=seen.features | {"io.max"}
        )

    monkeypatch.setattr(LinuxNode, "observe", observed)


@pytest.mark.usefixtures("slow_swap")
@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, ["/dev/vdb takes 50 ms a request and nothing limits who swaps"]),
        ("{}", []),
        ("{io: {enabled: false}}", ["/dev/vdb takes 50 ms a request and nothing limits who swaps"]),
        (
            "{io: {disks: [{name: vdb}, {name: vda1}]}}",
            ["io.disks names vda1, and no disk is called that: nothing is done for it"],
        ),
    ],
)
def test_the_doctor_knows_what_a_policy_leaves_of_the_dangers(
    run, tree: Path, tmp_path: Path, spec: str | None, said: list[str]
) -> None:
    (tmp_path / "p.yaml").write_text(f"apiVersion: memqos.dev/v1alpha1\nkind: MemoryPolicy\nspec: {spec}\n")
    options = ["--policy", tmp_path / "p.yaml"] if spec else []
    _, out, _ = run("doctor", "--cgroup-root", tree, "--json", *options)
    findings = json.loads(out)["findings"]
    assert [each["detail"] for each in findings if each["area"] in ("danger", "policy")] == said


def test_the_doctor_names_a_file_that_does_not_read(run, tree: Path) -> None:
    (tree / "kubepods" / "memory.current").write_text("much\n")
    _, out, _ = run("doctor", "--cgroup-root", tree, "--json")
    (unread,) = [each for each in json.loads(out)["findings"] if each["what"] == "not read"]
    assert unread["detail"].startswith("kubepods: memory.current: ")


@pytest.mark.parametrize("home", ["/proc/none", None])
def test_without_a_place_for_the_cache_it_says_all_the_rest_and_makes_none(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    for name in ("MEMQOS_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)  # nobody that /etc/passwd knows
    if home is not None:
        monkeypatch.setenv("HOME", home)
    status, out, err = run("doctor", "--cgroup-root", tmp_path, "--json")
    findings = {each["what"]: each["state"] for each in json.loads(out)["findings"]}
    assert (status, err) == (exits.NOT_HELD, "")
    assert findings["cgroup v2"] == "fault"
    assert {findings[f"kernel {name}"] for name in ("6.1", "6.12", "7.2")} == {"missing"}


def test_looking_makes_no_directory(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMQOS_CACHE", str(tmp_path / "cache"))
    run("doctor", "--cgroup-root", tmp_path)
    assert not (tmp_path / "cache").exists()
