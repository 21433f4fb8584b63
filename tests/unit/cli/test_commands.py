"""The command line as a user meets it, over a tree of plain files that looks like cgroup v2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from memqos.cli import exits
from memqos.cli.main import COMMANDS, main
from memqos.cli.sources import PodSource
from memqos.linux.node import LinuxNode
from memqos.model.plan import Outcome, Write
from memqos.model.snapshot import Counters, Disk, IoStat, Pressure, PressureLine, Snapshot, Swap
from memqos.units import GIB

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: ledger
  annotations: {memqos.dev/swap-limit: 64Mi}
spec:
  containers:
    - name: main
      command: [sleep, "1"]
      resources: {requests: {memory: 32Mi}, limits: {memory: 64Mi}}
"""

KNOBS = {
    "cgroup.controllers": "cpu io memory\n",
    "memory.current": "8388608\n",
    "memory.min": "0\n",
    "memory.low": "0\n",
    "memory.high": "max\n",
    "memory.max": "max\n",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 2\noom_kill 2\noom_group_kill 0\n",
    "memory.stat": "anon 4194304\nfile 4194304\nkernel 0\nshmem 1048576\nfile_dirty 4096\nfile_writeback 0\n",
    "memory.swap.current": "0\n",
    "memory.swap.max": "max\n",
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["memqos", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A node with one Burstable pod of one container."""
    pod = "kubepods/burstable/pod6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
    for path in ("", "kubepods", "kubepods/burstable", pod, f"{pod}/main"):
        directory = tmp_path / "cgroup" / path
        directory.mkdir()
        for name, text in KNOBS.items() if path else [("cgroup.controllers", "cpu io memory\n")]:
            (directory / name).write_text(text)
    return tmp_path / "cgroup"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    return path


@pytest.fixture
def kubelet_pods(tmp_path: Path) -> Path:
    """The pod of `tree`, as its kubelet reports it."""
    uid = "6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
    pod = {"metadata": {"name": "ledger", "uid": uid}, "spec": {"containers": [{"name": "main"}]}}
    path = tmp_path / "pods.json"
    path.write_text(json.dumps({"kind": "PodList", "items": [pod]}))
    return path


def test_help_names_every_command_and_every_exit_code(run) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run("--help")
    assert status == exits.OK
    for word in [*COMMANDS, *map(str, exits.MEANINGS)]:
        assert word in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command: str) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run(command, "--help")
    assert status == exits.OK
    assert "Usage: memqos" in out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['memqos', '--help']\n"
        "from memqos.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'matplotlib', 'pydantic', 'rich', 'yaml', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_wrong_option_is_wrong_usage(run) -> None:  # type: ignore[no-untyped-def]
    status, _, err = run("pods", "--no-such-option")
    assert status == exits.BAD_INPUT
    assert "No such option" in err


def test_a_machine_without_cgroup_v2_gets_one_sentence(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, err = run("pods", "--cgroup-root", tmp_path)
    assert (status, out) == (exits.CANNOT_HERE, "")
    assert err.startswith("memqos: ")
    assert err.count("\n") == 1


def test_pods_are_found_in_the_tree_alone(run, tree: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run("pods", "--cgroup-root", tree, "--json")
    (pod,) = json.loads(out)["pods"]
    assert status == exits.OK
    assert pod["pod"] == "?/6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
    assert pod["qos"] == "Burstable"
    assert (pod["anon"], pod["shmem"], pod["file_clean"], pod["file_dirty"]) == (
        4 << 20,
        1 << 20,
        (3 << 20) - 4096,
        4096,
    )
    assert pod["oom_kills"] == 2


def test_pods_in_a_pipe_are_plain_text(run, tree: Path) -> None:  # type: ignore[no-untyped-def]
    _, out, _ = run("pods", "--cgroup-root", tree)
    assert "\x1b" not in out
    assert "Burstable" in out


def test_a_plan_needs_neither_root_nor_a_kernel(run, manifest: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run("plan", "--pods", manifest, "--node-memory", "1Gi", "--node-swap", "512Mi", "--json")
    writes = json.loads(out)["writes"]
    (swap,) = [
        each for each in writes if each["knob"] == "memory.swap.max" and each["cgroup"].endswith("/main")
    ]
    assert status == exits.OK
    assert swap["then"] == 64 << 20
    assert "annotation memqos.dev/swap-limit" in swap["why"]
    assert swap["now"] is None


def test_a_plan_for_an_imagined_node_needs_manifests(run) -> None:  # type: ignore[no-untyped-def]
    status, _, err = run("plan", "--node-memory", "1Gi")
    assert status == exits.BAD_INPUT
    assert "--pods" in err


def test_a_broken_manifest_is_named_with_its_field(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bad.yaml"
    path.write_text(POD.replace("64Mi}}", "64Mo}}"))
    status, out, err = run("plan", "--pods", path, "--node-memory", "1Gi")
    assert (status, out) == (exits.BAD_INPUT, "")
    assert "bad.yaml" in err
    assert "limits.memory" in err


def test_a_plan_writes_nothing(run, tree: Path, manifest: Path) -> None:  # type: ignore[no-untyped-def]
    before = {path: path.read_text() for path in tree.rglob("*") if path.is_file()}
    status, _, _ = run("plan", "--cgroup-root", tree, "--pods", manifest)
    assert status == exits.OK
    assert {path: path.read_text() for path in tree.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("seconds", "step"), [("0", "calm"), ("0.3", "act")])
def test_a_plan_knows_what_shows_only_over_time(
    run, tree: Path, kubelet_pods: Path, monkeypatch: pytest.MonkeyPatch, seconds: str, step: str
) -> None:  # type: ignore[no-untyped-def]
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


@pytest.mark.parametrize("command", ["run", "plan"])
def test_who_decides_about_pods_wants_to_know_which(run, command: str) -> None:  # type: ignore[no-untyped-def]
    status, out, err = run(command)
    assert (status, out) == (exits.BAD_INPUT, "")
    assert err.startswith("memqos: no pods are named; give --pods PATH")
    assert "kubectl get --raw /api/v1/nodes/NODE/proxy/pods" in err


def test_run_says_so_when_the_kubelets_pods_cannot_be_read(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    missing = tmp_path / "pods.json"
    status, _, errors = run("run", "--kubelet-pods", str(missing), "--state", str(tmp_path / "s"))
    assert (status, str(missing) in errors) == (2, True)
    assert not (tmp_path / "s").exists()


def test_restore_after_nothing_restores_nothing(run, tree: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run("restore", "--cgroup-root", tree, "--state", tmp_path / "state", "--json")
    assert (status, json.loads(out)) == (exits.OK, {"restored": []})


def test_restore_says_that_there_is_nothing_and_makes_no_directory(run, tree: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    state = tmp_path / "stat"
    status, _, err = run("restore", "--cgroup-root", tree, "--state", state)
    assert (status, state.exists()) == (exits.OK, False)
    assert f"nothing is remembered in {state}" in err


def test_restore_says_that_what_is_remembered_is_damaged(run, tree: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "originals").write_text("hello\n")
    status, out, err = run("restore", "--cgroup-root", tree, "--state", tmp_path, "--json")
    assert (status, json.loads(out)) == (exits.NOT_HELD, {"restored": []})
    assert "1 records of" in err
    assert "originals are damaged" in err


@pytest.mark.parametrize("option", ["--seconds", "--interval", "--grace"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e30"])
def test_a_time_that_is_none_is_wrong_usage(run, manifest: Path, option: str, value: str) -> None:  # type: ignore[no-untyped-def]
    status, _, err = run("run", "--pods", manifest, option, value)
    assert status == exits.BAD_INPUT
    assert f"Invalid value for '{option}'" in err


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
) -> None:  # type: ignore[no-untyped-def]
    status, _, err = run("plan", "--pods", manifest, *arguments)
    assert status == exits.BAD_INPUT
    assert error in err


def test_manifests_without_a_pod_are_an_error_that_says_what_they_hold(run, manifest: Path) -> None:  # type: ignore[no-untyped-def]
    manifest.write_text(POD.replace("kind: Pod", "kind: Deployment").replace("v1", "apps/v1"))
    status, _, err = run("plan", "--pods", manifest, "--node-memory", "1Gi")
    assert status == exits.BAD_INPUT
    assert f"{manifest}: there is no Pod, only Deployment; write manifests of kind Pod" in err


def test_a_machine_without_cgroup_v2_is_told_before_the_agent_protects_itself(
    run, manifest: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    status, out, err = run(
        "run", "--cgroup-root", tmp_path / "no", "--pods", manifest, "--state", tmp_path / "s"
    )
    assert (status, out) == (exits.CANNOT_HERE, "")
    assert err.count("\n") == 1


def test_run_ends_at_once_where_it_may_write_nothing(
    run, tree: Path, kubelet_pods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "s"]
    status, out, err = run("run", *arguments, "--seconds", "0")
    assert (status, out) == (exits.CANNOT_HERE, "")
    assert err == f"memqos: this process may not write to the cgroups below {tree}; run as root\n"
    assert run("run", *arguments, "--seconds", "0", "--dry-run")[0] == exits.OK


def test_run_manages_without_a_journal_where_there_can_be_none(
    run, tree: Path, kubelet_pods: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "journal").touch()
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "s"]
    status, out, _ = run("run", *arguments, "--seconds", "0", "--json")
    report = json.loads(out)
    assert status == exits.OK
    assert report["ticks"] > 0
    assert any("it keeps no journal: " in each["problem"] for each in report["advice"])


def test_what_cannot_be_put_back_is_named_with_the_command_that_tries_again(
    run, tree: Path, kubelet_pods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    left = Outcome(Write("kubepods", "memory.low", 0, "it held 0 B"), "failed", error="Read-only file system")
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "s"]
    status, out, err = run("run", *arguments, "--seconds", "0")
    assert (status, err) == (exits.OK, "")
    assert out.endswith("2 values were put back\n")
    monkeypatch.setattr("memqos.agent.loop.restore", lambda node, originals: (left,))
    status, out, err = run("run", *arguments, "--seconds", "0")
    assert status == exits.NODE_REFUSED
    assert "Not put back:" in out
    assert "Read-only file system" in out
    assert err.endswith(f"memqos restore --state {tmp_path}/s\n")


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


@pytest.fixture
def state(run, tree: Path, kubelet_pods: Path, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    """The state directory of an agent that ran once: the pod of `tree` chose nothing."""
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "state"]
    assert run("run", *arguments, "--seconds", "0")[0] == exits.OK
    return tmp_path / "state"


def test_the_journal_tells_what_was_done_and_why(run, state: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run("journal", "--state", state, "--about", "default/ledger: memory.swap.max")
    assert status == exits.OK
    (line,) = out.splitlines()
    assert "memory.swap.max max -> 0 B: default/ledger gets the default, no swap: it chose nothing" in line
    status, out, _ = run("journal", "--state", state, "--last", "60", "--json")
    document = json.loads(out)
    assert run("journal", "--state", state / "journal", "--last", "60", "--json")[1] == out
    assert document["turns"] > 0
    assert line in [f"{each['time']}  {each['text']}" for each in document["lines"]]


def test_the_journal_tells_what_another_policy_would_have_decided(
    run, state: Path, tree: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    policy = tmp_path / "p.yaml"
    head = "apiVersion: memqos.dev/v1alpha1\nkind: MemoryPolicy\n"
    policy.write_text(f"{head}spec: {{swap: {{mode: None}}}}\n")
    before = {path: path.read_text() for path in tree.rglob("memory.*")}
    _, out, _ = run("journal", "--state", state, "--policy", policy)
    assert "[dry-run]: default/ledger gets the default, no swap: the policy's swap mode is None" in out
    assert {path: path.read_text() for path in tree.rglob("memory.*")} == before


def test_a_journal_in_which_nothing_of_the_kind_happened_says_so(run, state: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = run("journal", "--state", state, "--about", "default/nobody")
    assert status == exits.OK
    assert out.startswith("nothing of that kind happened in the ")


def test_a_journal_that_is_not_there_or_not_one_is_named_with_the_remedy(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, out, err = run("journal", "--state", tmp_path)
    assert (status, out) == (exits.BAD_INPUT, "")
    assert err.startswith(f"memqos: {tmp_path}/journal: there is no journal; name an agent's state directory")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal-00000001").write_bytes(b"nothing of ours")
    assert "holds no turn that can be read" in run("journal", "--state", tmp_path)[2]


def test_the_doctor_finds_what_is_missing_and_says_the_remedy(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
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
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "p.yaml").write_text(f"apiVersion: memqos.dev/v1alpha1\nkind: MemoryPolicy\nspec: {spec}\n")
    options = ["--policy", tmp_path / "p.yaml"] if spec else []
    _, out, _ = run("doctor", "--cgroup-root", tree, "--json", *options)
    findings = json.loads(out)["findings"]
    assert [each["detail"] for each in findings if each["area"] in ("danger", "policy")] == said


def test_the_doctor_names_a_file_that_does_not_read(run, tree: Path) -> None:  # type: ignore[no-untyped-def]
    (tree / "kubepods" / "memory.current").write_text("much\n")
    _, out, _ = run("doctor", "--cgroup-root", tree, "--json")
    (unread,) = [each for each in json.loads(out)["findings"] if each["what"] == "not read"]
    assert unread["detail"].startswith("kubepods: memory.current: ")


def test_a_report_that_cannot_be_left_is_told_before_anything_is_played(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "here").touch()
    status, out, err = run("simulate", "e1", "--report", tmp_path / "here" / "report")
    assert (status, out) == (exits.BAD_INPUT, "")
    assert err == f"memqos: {tmp_path}/here/report: Not a directory\n"


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0"])
def test_a_trial_of_no_time_boots_no_machine(run, manifest: Path, value: str) -> None:  # type: ignore[no-untyped-def]
    status, _, err = run("lab", "try", "--pods", manifest, "--seconds", value)
    assert status == exits.BAD_INPUT
    assert "Invalid value for '--seconds'" in err


def test_output_that_cannot_be_written_is_one_sentence(manifest: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "memqos",
        "plan",
        "--pods",
        str(manifest),
        "--node-memory",
        "1Gi",
        "--json",
    ]
    # unbuffered, so that the write fails where it is made and not when the process ends
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    assert done.returncode == exits.CANNOT_HERE
    assert done.stderr == "memqos: the output cannot be written: No space left on device\n"


def test_lab_wants_to_know_which_experiments(run) -> None:  # type: ignore[no-untyped-def]
    status, _, err = run("lab", "run")
    assert status == exits.BAD_INPUT
    assert "lab list" in err
