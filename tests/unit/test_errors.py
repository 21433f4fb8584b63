from memqos.errors import (
    CgroupGone,
    InputError,
    LabError,
    ManifestError,
    MemqosError,
    NodeError,
    ToolMissing,
    Unsupported,
    VmLost,
)


def test_an_input_error_names_file_field_and_remedy() -> None:
    error = ManifestError("not a quantity", source="pod.yaml", field="spec.x", remedy="write 1Gi")
    assert str(error) == "pod.yaml: spec.x: not a quantity; write 1Gi"


def test_an_input_error_says_only_what_is_known() -> None:
    assert str(InputError("broken")) == "broken"


def test_an_inner_field_is_placed_in_the_outer_one() -> None:
    error = ManifestError("bad", field="resources.limits").at(source="f.yaml", field="spec.containers[0]")
    assert isinstance(error, ManifestError)
    assert str(error) == "f.yaml: spec.containers[0].resources.limits: bad"


def test_a_node_error_names_cgroup_and_knob() -> None:
    assert (
        str(NodeError("no permission", cgroup="a/b", knob="memory.max")) == "a/b: memory.max: no permission"
    )
    assert str(CgroupGone("vanished")) == "/: vanished"


def test_everything_raised_on_purpose_is_one_family() -> None:
    assert issubclass(VmLost, MemqosError)
    assert issubclass(CgroupGone, NodeError)


def test_what_a_machine_lacks_is_said_with_the_remedy() -> None:
    missing = ToolMissing("busybox is not installed", remedy="apt-get install busybox-static")
    assert str(missing) == "busybox is not installed; apt-get install busybox-static"
    assert (missing.problem, missing.remedy) == tuple(str(missing).split("; "))
    assert isinstance(missing, LabError)
    assert str(Unsupported("no cgroup v2")) == "no cgroup v2"
