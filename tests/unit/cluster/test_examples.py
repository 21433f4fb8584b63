"""The example pods say what their comments say, and fit the machine they are made for."""

from pathlib import Path

from memqos.cluster.manifest import load_manifests
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.knobs import pod_memory_max
from memqos.linux.runner.command import Command, command_of, default_environment
from memqos.units import MIB

PODS = {pod.name: pod for pod in load_manifests([Path(__file__).parents[3] / "examples" / "pods"]).pods}


def test_every_pod_is_bounded_and_together_they_leave_a_gibibyte_machine_room() -> None:
    sizes = [pod_memory_max(pod, KubeletConfig()) for pod in PODS.values()]
    assert len(sizes) == 4
    assert all(sizes)
    assert sum(sizes) < 512 * MIB


def test_the_two_ledgers_differ_in_the_annotation_alone() -> None:
    plain, with_swap = PODS["ledger"], PODS["ledger-with-swap"]
    assert plain.containers == with_swap.containers
    assert (plain.priority, with_swap.priority) == (1_000_000, 1_000_000)
    assert plain.annotations == {}
    assert with_swap.annotations == {"memqos.dev/swap-limit": "64Mi"}


def test_every_program_of_the_examples_can_be_found_here() -> None:
    for pod in PODS.values():
        for container in pod.all_containers:
            assert isinstance(command_of(pod, container, default_environment()), Command)


def test_no_argument_is_taken_for_a_variable_of_kubernetes() -> None:
    for pod in PODS.values():
        for container in pod.all_containers:
            assert not any("$(" in text or "$$" in text for text in container.command + container.args)
