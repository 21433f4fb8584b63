from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from memqos.model.plan import Plan
from memqos.model.pods import Container, PlacedPod, Pod, Resources
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.model.view import View
from memqos.policy.settings import SwapMode, SwapSettings
from memqos.policy.swap import SwapPolicy
from memqos.units import GIB, MIB, UNLIMITED, Quantity

KEY = "memqos.dev/swap-limit"
EASY = SwapSettings(reserve=0)


def pod(
    name: str,
    annotations: Mapping[str, str] | str = "",
    *,
    namespace: str = "default",
    priority: int | None = None,
    request: int = 1 * GIB,
) -> Pod:
    """Build a Burstable pod of two containers, `app` that requests memory and `log` that does not."""
    app = Container("app", Resources(requests={"memory": Quantity(Fraction(request))}))
    said = {KEY: annotations} if isinstance(annotations, str) and annotations else annotations or {}
    assert not isinstance(said, str)
    return Pod(namespace, name, f"uid-{name}", (app, Container("log")), annotations=said, priority=priority)


def view(*pods: Pod, swap: int = 4 * GIB, used: Mapping[str, int] | None = None, knob: bool = True) -> View:
    cgroups, placed = [Cgroup(path="", inode=1)], []
    for one in pods:
        parts = {name: f"kubepods/{one.name}/{name}" for name in ("app", "log")}
        for path in (f"kubepods/{one.name}", *parts.values()):
            cgroups.append(
                Cgroup(
                    path=path,
                    inode=len(cgroups) + 1,
                    memory_swap_max=UNLIMITED if knob else None,
                    memory_swap_current=(used or {}).get(path.removeprefix("kubepods/"), 0),
                )
            )
        placed.append(PlacedPod(one, f"kubepods/{one.name}", parts))
    facts = NodeFacts(meminfo=Counters.of({"MemTotal": 8 * GIB, "SwapTotal": swap}), vmstat=Counters.of({}))
    now = Snapshot(time_us=1, boot_id="b", node=facts, cgroups={one.path: one for one in cgroups})
    return View(now=now, pods=tuple(placed))


def decide(view: View, settings: SwapSettings = EASY) -> Plan:
    return (policy := SwapPolicy(settings)).decide(policy.initial(), view)[1]


def granted(plan: Plan) -> dict[str, int]:
    """Return `memory.swap.max` by path below kubepods."""
    found = {}
    for write in plan.writes:
        assert write.knob == "memory.swap.max"
        assert isinstance(write.value, int)
        assert write.inode > 0
        found[write.cgroup.removeprefix("kubepods/")] = write.value
    return found


def test_a_pod_gets_what_its_user_chose_and_the_write_says_so() -> None:
    plan = decide(view(pod("ledger", "512Mi")))
    assert granted(plan) == {"ledger": 512 * MIB, "ledger/app": 512 * MIB, "ledger/log": 512 * MIB}
    assert plan.writes[0].why == (
        "default/ledger chose 512 MiB of swap (annotation memqos.dev/swap-limit); "
        "policy allows up to 1 GiB per pod"
    )
    assert plan.advice == ()


def test_a_silent_pod_gets_none_unless_the_default_is_limited() -> None:
    silent = view(pod("a"))
    assert granted(decide(silent)) == {"a": 0, "a/app": 0, "a/log": 0}
    by_rule = SwapSettings(reserve=0, default="limited")
    assert granted(decide(silent, by_rule)) == {"a": 512 * MIB, "a/app": 512 * MIB, "a/log": 0}


def under_limited_swap(*pods: Pod) -> View:
    """Build a node whose kubelet gave every `app` 512 MiB of swap, and every `log` none."""
    seen = view(*pods)
    cgroups = dict(seen.now.cgroups)
    for path in list(cgroups):
        share = {"app": 512 * MIB, "log": 0}.get(path.rpartition("/")[2])
        if share is not None:
            cgroups[path] = structs.replace(cgroups[path], memory_swap_max=share)
    return replace(seen, now=structs.replace(seen.now, cgroups=cgroups))


def test_who_loses_what_the_kubelet_gave_is_named_once_with_the_setting_that_keeps_it() -> None:
    pods = [*(pod(f"quiet{number}") for number in range(7)), pod("chose", "64Mi")]
    (advice,) = decide(under_limited_swap(*pods)).advice
    assert advice.subject == "node"
    assert advice.problem.startswith("default/quiet0, default/quiet1, ")
    assert "default/quiet4 and 2 more chose nothing and had swap" in advice.problem
    assert "swap.default to limited" in advice.remedy


def test_nobody_is_said_to_lose_swap_who_keeps_it_or_never_had_any() -> None:
    quiet, critical = pod("quiet"), pod("critical", priority=2_000_000_000)
    assert decide(view(quiet)).advice == ()
    assert decide(under_limited_swap(critical)).advice == ()
    for asked in (SwapSettings(reserve=0, default="limited"), SwapSettings(reserve=0, mode="None")):
        assert decide(under_limited_swap(quiet), asked).advice == ()


def test_limited_is_the_kubelets_formula_for_each_container() -> None:
    assert granted(decide(view(pod("a", "limited")))) == {"a": 512 * MIB, "a/app": 512 * MIB, "a/log": 0}


def test_max_is_as_much_as_the_admin_allows() -> None:
    assert granted(decide(view(pod("a", "max"))))["a"] == 1 * GIB
    assert (
        granted(decide(view(pod("a", "max")), SwapSettings(reserve=GIB, maximum_per_pod=None)))["a"]
        == 3 * GIB
    )


def test_containers_share_the_pods_limit() -> None:
    plan = decide(view(pod("a", {f"{KEY}.app": "300Mi", f"{KEY}.log": "100Mi"})))
    assert granted(plan) == {"a": 400 * MIB, "a/app": 300 * MIB, "a/log": 100 * MIB}
    plan = decide(view(pod("a", {KEY: "200Mi", f"{KEY}.app": "300Mi", f"{KEY}.log": "0"})))
    assert granted(plan) == {"a": 200 * MIB, "a/app": 200 * MIB, "a/log": 0}


def test_sizes_are_rounded_down_to_pages() -> None:
    assert granted(decide(view(pod("a", "8191"))))["a"] == 4096


@pytest.mark.parametrize("text", ["1e30Gi", "-1", "limited ", "۵Mi", "🐘"])
def test_a_bad_annotation_costs_only_its_own_pod_its_choice(text: str) -> None:
    plan = decide(view(pod("bad", text), pod("good", "1Mi")))
    assert (granted(plan)["bad"], granted(plan)["good"]) == (0, MIB)
    (advice,) = plan.advice
    assert advice.subject == "default/bad"
    assert f"annotation {KEY}" in advice.problem
    assert "quantity" in advice.remedy


def test_an_annotation_for_an_ephemeral_container_costs_the_pod_nothing() -> None:
    debugged = replace(pod("a", {KEY: "1Mi", f"{KEY}.debug": "0"}), ephemeral_containers=("debug",))
    plan = decide(view(debugged))
    assert granted(plan)["a"] == MIB
    (advice,) = plan.advice
    assert "'debug' is an ephemeral container" in advice.problem
    assert advice.problem.endswith("the rest of its choice counts")


@pytest.mark.parametrize(("mode", "expected"), [("None", 0), ("Limited", 512 * MIB)])
def test_where_the_admin_decides_a_choice_does_not_count(mode: SwapMode, expected: int) -> None:
    plan = decide(view(pod("a", "1Gi")), SwapSettings(reserve=0, mode=mode))
    assert granted(plan)["a"] == expected
    assert f"swap mode is {mode}" in plan.advice[0].problem


def test_only_pods_of_chosen_namespaces_choose() -> None:
    plan = decide(
        view(pod("a", "1Mi", namespace="team-a"), pod("b", "1Mi", namespace="other")),
        SwapSettings(reserve=0, namespaces=("team-*",)),
    )
    assert (granted(plan)["a"], granted(plan)["b"]) == (MIB, 0)
    assert [advice.subject for advice in plan.advice] == ["other/b"]


def test_a_critical_pod_never_swaps() -> None:
    critical = pod("a", "max", priority=2_000_000_000)
    for mode in ("PodChoice", "Limited"):
        plan = decide(view(critical), SwapSettings(reserve=0, mode=mode, default="limited"))  # type: ignore[arg-type]
        assert set(granted(plan).values()) == {0}
        assert "critical" in plan.advice[0].problem


def test_the_budget_serves_the_higher_priority_first_and_equals_equally() -> None:
    pods = [pod("a", "1Gi", priority=9), pod("b", "1Gi"), pod("c", "1Gi"), pod("d", "100Mi")]
    plan = decide(view(*pods), SwapSettings(budget=2 * GIB, reserve=0))
    sizes = granted(plan)
    assert [sizes[name] for name in "abcd"] == [1024 * MIB, 462 * MIB, 462 * MIB, 100 * MIB]
    assert "of the node's 2 GiB it gets 462 MiB" in plan.writes[3].why
    assert plan.advice[0].subject == "node"


def test_the_reserve_is_never_granted() -> None:
    assert granted(decide(view(pod("a", "max"), swap=GIB), SwapSettings(reserve=512 * MIB)))["a"] == 512 * MIB
    assert granted(decide(view(pod("a", "max"), swap=MIB), SwapSettings(reserve=512 * MIB)))["a"] == 0


@pytest.mark.parametrize(
    ("swap", "settings", "why"),
    [
        (0, EASY, "the node has none"),
        (GIB, EASY, "pods may have 1 GiB of the node's 1 GiB"),
        (GIB, SwapSettings(reserve=512 * MIB), "pods may have 512 MiB of the node's 1 GiB"),
        (4 * GIB, EASY, "policy allows up to 1 GiB per pod"),
        (4 * GIB, SwapSettings(reserve=0, maximum_per_pod=0), "policy allows up to 0 B per pod"),
    ],
)
def test_the_bound_that_holds_is_the_one_that_is_told(swap: int, settings: SwapSettings, why: str) -> None:
    """A node without swap, or that keeps it, is not the policy's doing."""
    assert decide(view(pod("a", "max"), swap=swap), settings).writes[0].why.endswith(f"; {why}")


def test_who_chose_is_told_when_the_node_keeps_all_its_swap() -> None:
    (advice,) = decide(view(pod("a", "64Mi"), pod("b"), swap=100 * MIB), SwapSettings()).advice
    assert advice.subject == "default/a"
    assert advice.problem == "it chose swap and pods may have 0 B of the node's 100 MiB"
    assert "lower swap.reserve" in advice.remedy


def test_swap_still_in_use_by_a_pod_that_may_no_longer_is_not_granted_again() -> None:
    seen = view(pod("old"), pod("new", "1Gi"), swap=GIB, used={"old": 600 * MIB})
    assert granted(decide(seen)) | {"old": 0} == granted(decide(seen))
    assert granted(decide(seen))["new"] == 424 * MIB


def test_a_node_without_swap_tells_who_wanted_some() -> None:
    plan = decide(view(pod("a", "1Gi"), pod("b"), swap=0))
    assert set(granted(plan).values()) == {0}
    assert [advice.subject for advice in plan.advice] == ["default/a"]


def test_a_kernel_without_swap_accounting_is_left_alone() -> None:
    assert decide(view(pod("a", "1Gi"), knob=False)).writes == ()


def test_two_pods_said_to_be_in_one_cgroup_are_granted_swap_once() -> None:
    seen = view(pod("a", "1Gi"), swap=GIB)
    twice = View(now=seen.now, pods=(*seen.pods, PlacedPod(pod("mirror", "1Gi"), "kubepods/a")))
    assert decide(twice) == decide(seen)
    assert granted(decide(twice))["a"] == GIB


def test_init_containers_count_for_what_runs_at_once() -> None:
    setup, proxy = Container("setup"), Container("proxy", restart_policy="Always")
    said = {f"{KEY}.setup": "300Mi", f"{KEY}.proxy": "100Mi", f"{KEY}.app": "50Mi"}
    both = Pod("default", "a", "u", (Container("app"), Container("log")), (proxy, setup), annotations=said)
    assert granted(decide(view(both)))["a"] == 400 * MIB


TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["max", "limited", "0", "1Gi", "5Gi", "9e18", "-1", "1e30Gi", "limited "]),
)
ANNOTATIONS = st.dictionaries(st.sampled_from([KEY, f"{KEY}.app", f"{KEY}.log", f"{KEY}.no"]), TEXTS)
POLICIES = st.builds(
    SwapSettings,
    mode=st.sampled_from(["PodChoice", "Limited", "None"]),
    default=st.sampled_from(["0", "limited"]),
    maximum_per_pod=st.none() | st.integers(0, 6 * GIB),
    budget=st.none() | st.integers(0, 6 * GIB),
    reserve=st.integers(0, 5 * GIB),
    namespaces=st.sampled_from([("*",), ("team",), ()]),
)
PODS = st.lists(
    st.tuples(ANNOTATIONS, st.sampled_from(["team", "other"]), st.sampled_from([None, 0, 7, 2_000_000_000])),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(POLICIES, PODS, st.integers(0, 5 * GIB), st.integers(0, 2 * GIB))
def test_nobody_ever_gets_more_than_the_admin_allows(
    policy: SwapSettings, rows: list[tuple[dict[str, str], str, int | None]], swap: int, used: int
) -> None:
    pods = [pod(str(i), said, namespace=ns, priority=rank) for i, (said, ns, rank) in enumerate(rows)]
    plan = decide(view(*pods, swap=swap, used={"0": used}), policy)
    sizes = granted(plan)
    wholes = [sizes[one.name] for one in pods]
    assert sum(wholes) <= max(
        0, min(swap - policy.reserve, policy.budget if policy.budget is not None else swap)
    )
    for one, whole in zip(pods, wholes, strict=True):
        assert 0 <= whole <= (UNLIMITED if policy.maximum_per_pod is None else policy.maximum_per_pod)
        assert all(size % 4096 == 0 for size in sizes.values())
        assert max(sizes[f"{one.name}/app"], sizes[f"{one.name}/log"]) <= whole
        if one.priority == 2_000_000_000 or policy.mode == "None":
            assert whole == 0
        may_choose = policy.mode == "PodChoice" and (
            one.namespace in policy.namespaces or "*" in policy.namespaces
        )
        if not may_choose:
            assert whole <= swap // 8  # the formula's share of a pod that requests an eighth of the node


def test_what_it_remembers_changes_no_decision() -> None:
    policy, memory = SwapPolicy(EASY), SwapPolicy(EASY).initial()
    pods = pod("a", "64Mi"), pod("b", "1Gi"), pod("c", "lots")
    views = [view(*pods), view(*pods), view(*pods, used={"b": 80 * MIB}), view(*pods, swap=GIB)]
    views += [view(*pods[:2]), view(pod("a", "1Mi"), *pods[1:]), view(*pods, knob=False), view(*pods)]
    for each in views:
        memory, plan = policy.decide(memory, each)
        assert plan == decide(each)
    assert policy.decide(memory, view(*pods))[1] is plan


@settings(max_examples=50, deadline=None)
@given(POLICIES, PODS, st.integers(0, 5 * GIB))
def test_grants_do_not_depend_on_the_order_of_pods(
    policy: SwapSettings, rows: list[tuple[dict[str, str], str, int | None]], swap: int
) -> None:
    pods = [pod(str(i), said, namespace=ns, priority=rank) for i, (said, ns, rank) in enumerate(rows)]
    assert granted(decide(view(*pods, swap=swap), policy)) == granted(
        decide(view(*pods[::-1], swap=swap), policy)
    )
