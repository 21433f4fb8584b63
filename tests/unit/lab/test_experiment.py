from pathlib import Path

import pytest

from memqos.errors import ExperimentError
from memqos.lab.campaign import check_inputs, plays_of
from memqos.lab.catalogue import find_experiments, list_experiments, shipped
from memqos.lab.machine import machine_of
from memqos.lab.manifests import manifests_of
from memqos.lab.reading import read
from memqos.lab.variant import play
from memqos.units import MIB

GOOD = """\
apiVersion: memqos.dev/v1alpha1
kind: Experiment
name: x
title: A title
study: What the study says.
disks:
  data: {size: 64Mi, bandwidth: 10Mi, iops: 100}
files:
  - {path: big, size: "${size}"}
variants:
  - {name: small, set: {size: 8Mi, limit: 16Mi}}
  - {name: large, set: {size: 9Mi, limit: 32Mi}}
pods:
  - apiVersion: v1
    kind: Pod
    metadata: {name: reader}
    spec: {containers: [{name: main, command: [sleep, "1"], resources: {limits: {memory: "${limit}"}}}]}
timeline:
  - start: reader
  - mark: end
measures:
  file: {of: 'stat("reader", "file", "end")'}
  twice: {of: file * 2}
expect:
  - that: small.file < large.twice
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return path


def test_variants_differ_in_what_they_set(tmp_path: Path):
    experiment = read(written(tmp_path, GOOD))
    small, large = (play(experiment, name) for name in experiment.variant_names)
    assert (small.files, large.files) == ({"big": 8 * MIB}, {"big": 9 * MIB})
    limits = [manifests_of(each).pods[0].containers[0].resources.memory_limit for each in (small, large)]
    assert limits == [16 * MIB, 32 * MIB]


def test_what_the_kernel_does_by_itself_are_the_variants_of_the_kubelet(tmp_path: Path):
    whole = read(written(tmp_path, GOOD))
    assert whole.by_itself() is whole
    mixed = read(written(tmp_path, GOOD.replace("{name: small,", "{name: small, manager: senpai,")))
    alone = mixed.by_itself()
    assert alone is not None
    assert (alone.variant_names, alone.expect) == (("large",), [])
    managed = GOOD.replace("{name: small,", "{name: small, manager: senpai,")
    managed = managed.replace("{name: large,", "{name: large, manager: systemd-oomd,")
    assert read(written(tmp_path, managed)).by_itself() is None


def test_the_machine_has_the_disks_asked_for(tmp_path: Path):
    machine = machine_of(read(written(tmp_path, GOOD)))
    disk = machine.disks[0]
    assert (disk.serial, disk.size, disk.bps, disk.iops) == ("data", 64 * MIB, 10 * MIB, 100)
    assert (machine.memory_mib, machine.setup.data, machine.setup.swaps) == (1024, "data", ())


def test_a_pod_is_copied_as_often_as_asked(tmp_path: Path):
    text = GOOD.replace("timeline:", "copies: {reader: 3}\ntimeline:")
    variant = play(read(written(tmp_path, text)), "small")
    assert [pod.name for pod in manifests_of(variant).pods] == ["reader-1", "reader-2", "reader-3"]


def test_a_manager_says_what_the_kubelet_and_the_agent_do(tmp_path: Path):
    policy = "policy: {apiVersion: memqos.dev/v1alpha1, kind: MemoryPolicy, metadata: {name: p}, spec: {}}\n"
    text = GOOD.replace("{name: small,", "{name: small, manager: kubelet-memory-qos,")
    text = text.replace("{name: large,", "{name: large, manager: memqos,").replace(
        "disks:", f"{policy}disks:"
    )
    experiment = read(written(tmp_path, text))
    tiered, ours = (play(experiment, name) for name in experiment.variant_names)
    assert tiered.kubelet["memoryReservationPolicy"] == "TieredReservation"
    assert tiered.policy is None
    assert (ours.kubelet, ours.policy is None) == ({}, False)


def test_all_variants_run_once_before_any_runs_again(tmp_path: Path):
    plays = plays_of(read(written(tmp_path, GOOD)), 2)
    assert [each.record_name for each in plays] == [
        "record-small.json",
        "record-large.json",
        "record-small-2.json",
        "record-large-2.json",
    ]


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ("kind: Experiment", "kind: Pod", 2, "is of kind Pod, not Experiment"),
        ("name: x", "name: x\nname: y", 4, "given twice"),
        ("title: A title", "titel: A title", 4, "there is no such field"),
        ("  data: {size: 64Mi,", "  data: {size: 64Mx,", 7, "not a quantity"),
        ("  data: {size: 64Mi,", "  data: {size: 1Ki,", 7, "1Mi"),
        ("iops: 100", "iops: fast", 7, "not a whole number"),
        ("path: big", "path: ../etc/passwd", 9, "stay on the data disk"),
        ("set: {size: 8Mi, limit", "set: {size: 8Mi, limits", 13, "limit.* has no value"),
        ("name: large", "name: small", 12, "taken, or not a word"),
        ("  - start: reader", "  - start: writer", 19, "no pod 'writer'"),
        ("  - mark: end", "  - mark: end\n    sleep: 1", 20, "exactly one action"),
        ("  - mark: end", "  - explode: end", 20, "explode"),
        ("file * 2", "files * 2", 23, "files is not known"),
        ("stat(", "system(", 22, "system is not known"),
        ("small.file <", "tiny.file <", 25, "tiny is not known"),
        ("small.file <", "import os", 25, "not an expression"),
        ("timeline:", "timeline: [", 19, "not YAML"),
        ("study: What", "source: me\nstudy: What", 0, "memqos's own"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, was: str, becomes: str, line: int, says: str):
    assert GOOD.count(was) >= 1
    path = written(tmp_path, GOOD.replace(was, becomes, 1))
    with pytest.raises(ExperimentError, match=says) as caught:
        read(path)
    assert caught.value.source == (f"{path}:{line}" if line else str(path))


@pytest.mark.parametrize(
    ("was", "becomes", "line", "field"),
    [
        (
            "metadata: {name: reader}",
            "metadata: {name: reader, namespace: A_}",
            16,
            "pods[0].metadata.namespace",
        ),
        ("    kind: Pod", "    kind: ConfigMap", 13, "pods"),
        ("disks:", "kubelet: {memoryThrottlingFactor: 7}\ndisks:", 6, "kubelet.memoryThrottlingFactor"),
        ("disks:", "policy: {kind: MemoryPolicy, spec: {}}\ndisks:", 6, "policy.apiVersion"),
    ],
)
def test_what_the_guest_would_refuse_is_refused_before_it_boots(
    tmp_path: Path, was: str, becomes: str, line: int, field: str
):
    text = GOOD.replace(was, becomes).replace("start: reader", "sleep: 1")
    path = written(tmp_path, text)
    with pytest.raises(ExperimentError) as caught:
        check_inputs(read(path))
    assert (caught.value.source, caught.value.field) == (f"{path}:{line}", field)


def test_the_field_studys_experiments_can_be_read_and_their_pods_too():
    experiments = {each.name: each for each in list_experiments()}
    assert {f"e{number}" for number in range(1, 15)} <= experiments.keys()
    assert list(experiments) == list(shipped())
    for experiment in experiments.values():
        assert experiment.study
        assert experiment.expect
        check_inputs(experiment)


def test_an_unknown_experiment_names_the_known_ones():
    with pytest.raises(ExperimentError, match="e1, e2"):
        find_experiments(["e99"])
