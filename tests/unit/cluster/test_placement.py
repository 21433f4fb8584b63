import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from memqos.cluster.kubelet_pods import pod_list_from, read_pod_list
from memqos.cluster.placement import find_roots, place, placement
from memqos.model.pods import Container, Pod

FIXTURES = Path(__file__).parents[2] / "golden" / "kubernetes-1.36"
NODES = ("connected-systemd-tiered", "standalone-systemd-default", "standalone-cgroupfs-tiered")
ID = "68d52c3823161ee742b84bc806e43a30155d32df6fdd5dd9314311990ffa5d73"
PAUSE = "e1e815897f0f8faaddbf48c6f2e2ce309d82dd422f32b4edbd43fa681609b97a"
UID = "6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
UID_ = UID.replace("-", "_")


def a_pod(**fields: Any) -> Pod:
    defaults = {"namespace": "t", "name": "p", "uid": UID, "containers": (Container("app"),)}
    return Pod(**defaults | {"container_ids": {"app": ID}} | fields)


def tree(*paths: str) -> list[str]:
    """The paths with all that lie above them."""
    found = {path.rsplit("/", depth)[0] for path in paths for depth in range(path.count("/") + 1)}
    return sorted(found)


SYSTEMD = f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice"
LAYOUTS = {
    "systemd, containerd": (SYSTEMD, f"{SYSTEMD}/cri-containerd-%s.scope"),
    "systemd, CRI-O": (SYSTEMD, f"{SYSTEMD}/crio-%s.scope"),
    "cgroupfs, containerd": (f"kubepods/burstable/pod{UID}", f"kubepods/burstable/pod{UID}/%s"),
    "cgroupfs, CRI-O": (f"kubepods/pod{UID}", f"kubepods/pod{UID}/crio-%s"),
    "kind": (
        f"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_}.slice",
        f"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_}.slice/cri-containerd-%s.scope",
    ),
    "kind, seen from its host": (
        f"system.slice/docker-1.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_}.slice",
        "system.slice/docker-1.scope/kubelet.slice/kubelet-kubepods.slice/"
        f"kubelet-kubepods-pod{UID_}.slice/cri-containerd-%s.scope",
    ),
    "a cgroup root with _": (
        f"my_pods.slice/my_pods-kubepods.slice/my_pods-kubepods-pod{UID_}.slice",
        f"my_pods.slice/my_pods-kubepods.slice/my_pods-kubepods-pod{UID_}.slice/cri-containerd-%s.scope",
    ),
    "kind with cgroupfs": (f"kubelet/kubepods/pod{UID}", f"kubelet/kubepods/pod{UID}/%s"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pod_is_found_in_every_layout_and_its_sandbox_told_apart(layout: str) -> None:
    cgroup, leaf = LAYOUTS[layout]
    found = placement([a_pod()], tree(leaf % ID, leaf % PAUSE))
    (placed,) = found.pods
    assert (placed.cgroup, placed.containers) == (cgroup, {"app": leaf % ID})
    assert found.owners[leaf % PAUSE].kind == "sandbox"


def test_while_an_ephemeral_containers_id_is_not_reported_its_cgroup_is_nobodys_sandbox() -> None:
    leaf = f"kubepods/pod{UID}/{PAUSE}"
    assert placement([a_pod(ephemeral_containers=("debug",))], tree(leaf)).owners[leaf].kind == "unknown"


def test_what_lies_inside_a_container_is_the_containers() -> None:
    inner = f"kubepods/pod{UID}/{ID}/init.scope/deeper"
    owner = placement([a_pod()], tree(inner)).owners[inner]
    assert (owner.kind, owner.container) == ("inside", "app")


def test_the_pod_runners_cgroups_are_known_by_the_containers_names() -> None:
    pod = a_pod(container_ids={}, init_containers=(Container("side", restart_policy="Always"),))
    paths = tree(f"kubepods/burstable/pod{UID}/app", f"kubepods/burstable/pod{UID}/side")
    (placed,) = place([pod], paths)
    assert placed.containers == {name: f"kubepods/burstable/pod{UID}/{name}" for name in ("app", "side")}


def test_a_leaf_is_unknown_while_a_containers_id_is_not_reported() -> None:
    leaf = f"kubepods/pod{UID}/{PAUSE}"
    assert placement([a_pod(container_ids={})], tree(leaf)).owners[leaf].kind == "unknown"


def test_a_pod_without_a_cgroup_has_no_place() -> None:
    (placed,) = place([a_pod()], ["kubepods", "system.slice"])
    assert (placed.cgroup, placed.containers) == (None, {})


def test_the_cgroup_of_a_pod_that_is_not_listed_is_unknown_but_named() -> None:
    owner = placement([], tree(f"kubepods/pod{UID}")).owners[f"kubepods/pod{UID}"]
    assert (owner.kind, owner.uid, owner.pod) == ("pod", UID, None)


def test_a_mirror_pod_stands_for_the_static_pods_cgroup() -> None:
    hash_ = "b969b19405767e1fe2effe3c3446dca8"
    static = a_pod(
        uid=hash_, annotations={"kubernetes.io/config.source": "file", "kubernetes.io/config.hash": hash_}
    )
    mirror = a_pod(
        annotations={
            "kubernetes.io/config.source": "file",
            "kubernetes.io/config.mirror": hash_,
            "kubernetes.io/config.hash": hash_,
        }
    )
    paths = tree(f"kubepods/pod{hash_}/{ID}")
    for pods in ([mirror], [static], [mirror, static], [static, mirror]):
        (placed,) = place(pods, paths)
        assert placed.cgroup == f"kubepods/pod{hash_}"
        assert placed.pod is (static if static in pods else mirror)


@pytest.mark.parametrize(
    "path", ["my-kubepods.slice", "a/kubepods-x.slice", "kubepodsx", "-kubepods.slice", "kubepods.slice.d"]
)
def test_what_only_looks_like_kubepods_is_not(path: str) -> None:
    assert find_roots([path]) == ()


def expected_names(node: str) -> dict[str, tuple[str, str]]:
    """Pod and container of each cgroup, as recorded on the node itself."""
    summary = json.loads((FIXTURES / "node" / node / "cgroup-summary.json").read_text())
    return {path: (each.get("_pod", ""), each.get("_container", "")) for path, each in summary.items()}


@pytest.mark.parametrize("node", NODES)
def test_every_cgroup_of_a_real_node_is_attributed(node: str) -> None:
    folder = FIXTURES / "node" / node
    pods = read_pod_list(folder / "kubelet-pods.json")
    paths = [path for path in (folder / "cgroup-dirs.txt").read_text().splitlines() if path]
    found = placement(pods.pods, paths)
    assert pods.errors == ()
    assert all(each.cgroup is not None for each in found.pods)
    ours = [path for path in paths if path.startswith("kubepods")]
    assert sorted(found.owners) == sorted(ours)
    kinds = Counter(owner.kind for owner in found.owners.values())
    assert set(kinds) == {"node", "qos", "pod", "container", "sandbox"}
    assert kinds["sandbox"] == kinds["pod"] == len(pods.pods)


@pytest.mark.parametrize("node", NODES)
def test_the_attribution_is_the_one_recorded_on_the_node(node: str) -> None:
    folder = FIXTURES / "node" / node
    paths = (folder / "cgroup-dirs.txt").read_text().splitlines()
    found = placement(read_pod_list(folder / "kubelet-pods.json").pods, paths)
    compared = 0
    for path, (pod, container) in expected_names(node).items():
        owner = found.owners.get(path)
        if owner is None or owner.kind not in ("container", "sandbox"):
            continue
        assert owner.pod is not None
        assert owner.pod.name == pod
        assert owner.container == ("" if owner.kind == "sandbox" else container)
        assert (owner.kind == "sandbox") == (container == "(pause or gone)")
        compared += 1
    assert compared > 20


def test_an_api_servers_list_of_the_same_node_places_the_same_pods() -> None:
    body = json.loads((FIXTURES / "api" / "pods-list-real.json").read_text())["body"]
    folder = FIXTURES / "node" / "connected-systemd-tiered"
    paths = (folder / "cgroup-dirs.txt").read_text().splitlines()
    listed = {each.pod.key: each for each in place(pod_list_from(body).pods, paths) if each.cgroup}
    kubelet = {each.pod.key: each for each in place(read_pod_list(folder / "kubelet-pods.json").pods, paths)}
    assert len(listed) > 5
    assert all(listed[key].cgroup == kubelet[key].cgroup for key in listed)
