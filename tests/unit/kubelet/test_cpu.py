import pytest

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.cpu import reserved_cpu_writes
from memqos.kubelet.knobs import reserved_writes
from memqos.units import MIB, parse_quantity


def reserved(*enforced, cpu="500m", memory="256Mi"):
    amounts = {name: parse_quantity(text) for name, text in {"cpu": cpu, "memory": memory}.items() if text}
    return KubeletConfig(
        enforce_node_allocatable=("pods", *enforced),
        system_reserved=amounts,
        system_reserved_cgroup="/system.slice",
    )


def keys(writes):
    return {write.target: write.value for write in writes}


@pytest.mark.parametrize(("cpu", "weight"), [("500m", 20), ("1", 39), ("0", 1), ("256", 10_000)])
def test_a_reserved_processor_is_a_weight_as_all_of_the_kubelets_own(cpu, weight):
    config = reserved("system-reserved", cpu=cpu)
    assert keys(reserved_cpu_writes(config)) == {("system.slice", "cpu.weight"): weight}
    assert keys(reserved_writes(config)) == {("system.slice", "memory.max"): 256 * MIB}


def test_compressible_is_the_processor_alone():
    config = reserved("system-reserved-compressible")
    assert keys(reserved_cpu_writes(config)) == {("system.slice", "cpu.weight"): 20}
    assert keys(reserved_writes(config)) == {}


def test_what_is_not_enforced_or_not_reserved_is_left_alone():
    assert keys(reserved_cpu_writes(reserved())) == {}
    assert keys(reserved_cpu_writes(reserved("system-reserved", cpu=None))) == {}
    unnamed = KubeletConfig(
        enforce_node_allocatable=("kube-reserved",), kube_reserved={"cpu": parse_quantity("1")}
    )
    assert keys(reserved_cpu_writes(unnamed)) == {}


def test_the_reason_says_what_is_enforced():
    (write,) = reserved_cpu_writes(reserved("system-reserved"))
    assert (write.policy, write.why) == ("kubelet", "processor: system-reserved 0.5 CPU is enforced")
