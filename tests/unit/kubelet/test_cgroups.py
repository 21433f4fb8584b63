import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.errors import InputError
from memqos.kubelet.cgroups import (
    CgroupIdentity,
    cgroup_uid,
    container_leaf,
    container_path,
    daemons_path,
    identify,
    kubepods_path,
    pod_path,
    qos_path,
    to_cgroupfs,
    to_systemd,
)
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.qos import QOS_CLASSES

UID = "6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
HASH = "ae4bc4e88811dbd91912fe10488dc0c1"
ID = "0123456789abcdef" * 4


def test_the_cgroup_root_comes_first_as_kind_has_it():
    kind = KubeletConfig(cgroup_root="/kubelet")
    assert qos_path("Burstable", kind) == (
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice"
    )


@pytest.mark.parametrize("root", [(), ("",)])
def test_no_name_and_an_empty_one_are_the_root(root):
    assert (to_systemd(root), to_cgroupfs(root)) == ("", "")


def test_a_dash_in_the_cgroup_root_is_an_underscore_for_systemd():
    assert kubepods_path(KubeletConfig(cgroup_root="/my-root/")) == "my_root.slice/my_root-kubepods.slice"
    assert kubepods_path(KubeletConfig(cgroup_root="/my-root", cgroup_driver="cgroupfs")) == (
        "my-root/kubepods"
    )


@pytest.mark.parametrize(
    ("name", "systemd", "cgroupfs"),
    [
        ("", "", ""),
        ("/", "", ""),
        ("/system.slice", "system.slice", "system.slice"),
        ("/podruntime", "podruntime.slice", "podruntime"),
        ("/a.slice/a-b.slice/", "a.slice/a-b.slice", "a.slice/a-b.slice"),
        ("a-b", "a.slice/a-b.slice", "a-b"),
        ("/kube/reserved", "reserved.slice", "kube/reserved"),
    ],
)
def test_a_reserved_cgroup_is_named_as_its_driver_names_it(name, systemd, cgroupfs):
    assert daemons_path(name, KubeletConfig()) == systemd
    assert daemons_path(name, KubeletConfig(cgroup_driver="cgroupfs")) == cgroupfs


@pytest.mark.parametrize("uid", ["", "a/b", "a_b", "../.."])
def test_a_uid_that_could_not_be_read_back_is_refused(pod, uid):
    with pytest.raises(InputError, match=r"default/pod: metadata\.uid"):
        pod_path(pod(uid=uid), KubeletConfig())


@pytest.mark.parametrize(
    ("driver", "runtime", "leaf"),
    [
        ("systemd", "containerd", f"cri-containerd-{ID}.scope"),
        ("systemd", "cri-o", f"crio-{ID}.scope"),
        ("cgroupfs", "containerd", ID),
        ("cgroupfs", "cri-o", f"crio-{ID}"),
    ],
)
def test_the_runtime_names_the_containers_leaf(driver, runtime, leaf):
    config = KubeletConfig(cgroup_driver=driver, container_runtime=runtime)
    assert container_leaf(f"containerd://{ID}", config) == leaf
    assert container_leaf(ID, config) == leaf


def test_a_static_pod_and_its_mirror_have_one_cgroup(pod):
    static = pod(
        uid=HASH, annotations={"kubernetes.io/config.source": "file", "kubernetes.io/config.hash": HASH}
    )
    mirror = pod(
        uid=UID,
        annotations={
            "kubernetes.io/config.source": "file",
            "kubernetes.io/config.mirror": HASH,
            "kubernetes.io/config.hash": HASH,
        },
    )
    assert cgroup_uid(static) == cgroup_uid(mirror) == HASH


def test_a_users_pod_cannot_borrow_another_pods_cgroup_by_annotation(pod):
    assert cgroup_uid(pod(uid=UID, annotations={"kubernetes.io/config.hash": HASH})) == UID


@pytest.mark.parametrize(
    "path",
    ["", "system.slice", "kubepods.slicex", "kubepods", "init.scope/kubepods.slice"],
)
def test_what_is_not_below_kubepods_is_nobody(path):
    assert identify(path, KubeletConfig()) is None


def test_cri_os_conmon_and_what_a_container_makes_itself_are_not_containers():
    base = "kubepods.slice/kubepods-podabc.slice"
    conmon = identify(f"{base}/crio-conmon-{ID}.scope", KubeletConfig())
    assert conmon == CgroupIdentity("other", "Guaranteed", "abc")
    inner = identify(f"{base}/crio-{ID}.scope/init.scope", KubeletConfig())
    assert inner == CgroupIdentity("other", "Guaranteed", "abc", ID)


def test_a_stranger_in_a_class_is_not_a_pod():
    assert identify("kubepods.slice/foo.slice", KubeletConfig()).kind == "other"
    assert identify("kubepods.slice/kubepods-pod.slice", KubeletConfig()).kind == "other"


configs = st.builds(
    KubeletConfig,
    cgroup_driver=st.sampled_from(["systemd", "cgroupfs"]),
    container_runtime=st.sampled_from(["containerd", "cri-o"]),
    cgroup_root=st.sampled_from(["/", "/kubelet", "/my-root", "/a/b-c", "/a_b", "/kubepods", "/burstable"]),
)
uids = st.uuids().map(str) | st.text("0123456789abcdef", min_size=32, max_size=32)
ids = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(config=configs, uid=uids, container_id=ids, qos=st.sampled_from(QOS_CLASSES))
def test_a_path_tells_whose_it_is(config, uid, container_id, qos, pod):
    of_pod = pod(uid=uid, status_qos_class=qos)
    assert identify(pod_path(of_pod, config), config) == CgroupIdentity("pod", qos, uid)
    path = container_path(of_pod, container_id, config)
    assert identify(path, config) == CgroupIdentity("container", qos, uid, container_id)
    assert identify(qos_path(qos, config), config).qos == qos


@given(path=st.text("kubepods-burta.slice/_c0", max_size=60), config=configs)
def test_any_path_is_told_without_failing(path, config):
    seen = identify(path, config)
    assert seen is None or seen.qos in QOS_CLASSES
