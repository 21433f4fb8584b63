"""The whole agent's policies on a node where everything changes under their hands.

Pods come, go and come again under their names; limits are resized in place; others write the knobs that
are held; swap and disks come and go; files cannot be read; looks lie far apart. Whatever happens: no policy
fails, no write is meant for a cgroup of another inode, what was taken from nobody is given to nobody, and at
the end every knob holds what somebody else gave it last.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.agent.enforce import Enforcer
from memqos.agent.originals import Originals
from memqos.errors import CgroupGone
from memqos.model.plan import Outcome, Plan, Reclaim, Status, Underway, Value, Write
from memqos.model.snapshot import Cgroup, IoMax, Snapshot
from memqos.model.view import View
from memqos.policy.compose import field_of, foresee, overlay
from memqos.policy.guard import refuse
from memqos.policy.ladder import ladder
from memqos.policy.settings import KubeletSettings, Settings
from memqos.units import MIB, UNLIMITED

Scene = Any
EXAMPLES = max(10, settings.default.max_examples // 2)
NAMES = ("shop", "hog", "batch", "idle")
DISKS = ("8:0", "8:16", "253:0")
LIMITS = ("memory_min", "memory_low", "memory_high", "memory_max", "memory_swap_max")

press, over = (st.tuples(st.just(kind), st.integers(0, 2**32)) for kind in ("press", "over"))
happenings = st.one_of(
    *(press,) * 6,
    *(over,) * 3,
    st.tuples(st.just("gone"), st.sampled_from(NAMES)),
    st.tuples(st.just("born"), st.sampled_from(NAMES)),
    st.tuples(st.just("priority"), st.tuples(st.sampled_from(NAMES), st.sampled_from((-5, 0, 1000)))),
    st.tuples(st.just("resize"), st.tuples(st.sampled_from(NAMES), st.integers(8, 800))),
    st.tuples(
        st.just("theirs"),
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(LIMITS),
            st.integers(0, 900),
            st.sampled_from(("", "/app")),
        ),
    ),
    st.tuples(
        st.just("io.max"), st.tuples(st.sampled_from(NAMES), st.sampled_from(DISKS), st.integers(1, 50))
    ),
    st.tuples(st.just("swap"), st.sampled_from((0, 64, 512))),
    st.tuples(st.just("disk"), st.sampled_from(DISKS)),
    st.tuples(st.just("blind"), st.integers(0, 2**32)),
)
seconds = st.sampled_from((None, 0.15, 0.5, 1.0, 1.0, 1.0, 3.0, 90.0, -20.0))
"""Until the next look; `None`: something else happens first."""


class World:
    """A scene whose knobs are written as a kernel has them: whole pages, by inode.

    `theirs` is what others wrote last.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.births = 1000
        self.theirs: dict[tuple[str, int, str], Value] = {}
        self.orders: dict[str, Write] = {}
        self.ended: list[Outcome] = []
        self.leaving: set[str] = set()
        self.shown: Snapshot | None = None
        self.originals = Originals(None, "boot")
        scene.swap = 512 * MIB
        for name in NAMES:
            self.born(name)
        kubepods = scene.cgroups["kubepods"]
        kubepods.update(memory_min=0, memory_low=0, memory_max=UNLIMITED)
        for knob in ("memory.min", "memory.low"):
            self.theirs["kubepods", kubepods["inode"], knob] = 0

    def born(self, name: str) -> None:
        if any(placed.pod.name == name for placed in self.scene.pods):
            self.gone(name)
        held = {"shop": 128, "hog": 400, "batch": 100, "idle": 60}[name] * MIB
        self.scene.pod(
            name,
            priority=1000 if name == "shop" else 0,
            request=held // 2,
            limit=2 * held,
            memory_current=held,
            memory_swap_max=0 if name == "shop" else 256 * MIB,
            memory_stat={"anon": held // 2, "file": held // 2},
            io_weight=100,
        )
        for path in (f"kubepods/{name}", f"kubepods/{name}/app"):
            self.births += 1
            self.scene.cgroups[path]["inode"] = self.births
            for field in LIMITS:
                knob = field.replace("memory_swap_", "memory.swap.").replace("memory_", "memory.")
                self.theirs[path, self.births, knob] = self.scene.cgroups[path][field]
            self.theirs[path, self.births, "io.max"] = {}

    def gone(self, name: str) -> None:
        if any(placed.pod.name == name for placed in self.scene.pods):
            self.scene.gone(name)
            self.orders.pop(f"kubepods/{name}", None)
            self.leaving.discard(f"uid-{name}")

    def move(self, kind: str, what: Any) -> None:
        here = {placed.pod.name for placed in self.scene.pods}
        if kind in ("gone", "born"):
            getattr(self, kind)(what)
        elif kind == "press":
            self.press(random.Random(what))
        elif kind == "over":
            self.over(random.Random(what))
        elif kind == "swap":
            self.scene.swap = what * MIB
        elif kind == "disk":
            if what in self.scene.busy:
                del self.scene.busy[what]
            else:
                self.scene.serve(what, 1.0, reads=100)
        elif kind == "priority" and what[0] in here:
            self.scene.pods = [
                replace(placed, pod=replace(placed.pod, priority=what[1]))
                if placed.pod.name == what[0]
                else placed
                for placed in self.scene.pods
            ]
        elif kind == "resize" and what[0] in here:
            for path in (f"kubepods/{what[0]}", f"kubepods/{what[0]}/app"):
                self.write_theirs(path, "memory_max", what[1] * MIB)
        elif kind == "theirs" and what[0] in here:
            size = UNLIMITED if what[2] > 800 else what[2] * MIB
            self.write_theirs(f"kubepods/{what[0]}{what[3]}", what[1], size)
        elif kind == "io.max" and what[0] in here:
            path, limits = f"kubepods/{what[0]}", {what[1]: IoMax(wbps=what[2] * MIB)}
            cgroup = self.scene.cgroups[path]
            cgroup["io_max"] = cgroup["io_max"] | limits
            theirs = self.theirs[path, cgroup["inode"], "io.max"]
            assert isinstance(theirs, dict)
            self.theirs[path, cgroup["inode"], "io.max"] = theirs | limits

    def write_theirs(self, path: str, field: str, value: int) -> None:
        cgroup = self.scene.cgroups[path]
        knob = field.replace("memory_swap_", "memory.swap.").replace("memory_", "memory.")
        known = self.originals.get((path, cgroup["inode"], knob))
        if cgroup[field] == value or (known is not None and value in known.ours):
            return  # nobody can tell that it was written, or that it was not memqos
        cgroup[field] = value
        self.theirs[path, cgroup["inode"], knob] = value

    def over(self, chance: random.Random) -> None:
        """Let somebody write something else over what is held."""
        held = [one for one in self.originals.all() if one.knob.startswith("memory.") and "/" in one.cgroup]
        if held:
            one = chance.choice(held)
            cgroup = self.scene.cgroups.get(one.cgroup)
            field = field_of(one.knob)
            if cgroup is not None and field in LIMITS and cgroup["inode"] == one.inode:
                size = int(min(cgroup[field], 900 * MIB) * chance.choice((0.6, 0.9, 1.2))) // 4096 * 4096
                self.write_theirs(one.cgroup, field, size)

    def press(self, chance: random.Random) -> None:
        """Let a random part of what can go wrong go wrong in the next look."""
        most = chance.choice((60, 600, 600))
        for uid in sorted(self.leaving):
            if chance.random() < 0.5:
                self.born(uid.removeprefix("uid-"))
        for placed in self.scene.pods:
            name = placed.pod.name
            for resource in ("memory", "io"):
                self.scene.stall(name, chance.random() * chance.randint(0, 1), resource=resource)
            for key in ("workingset_refault_file", "workingset_refault_anon", "pgsteal"):
                self.scene.count(name, "memory_stat", key, chance.choice((0, 10, 5000, 40_000)))
            for key in ("low", "high", "max"):
                count = chance.choice((0, 0, 50))
                for place in (name, f"{name}/app"):
                    self.scene.count(place, "memory_events", key, count)
            held = chance.randint(0, most) * MIB
            dirty = chance.choice((0, held // 2))
            swapped = chance.choice((0, 30, 200)) * MIB
            stat = {"anon": held // 3, "file": held - held // 3, "file_dirty": dirty}
            for place in (name, f"{name}/app"):
                self.scene.change(place, memory_current=held, memory_swap_current=swapped, memory_stat=stat)
            device = chance.choice(DISKS)
            self.scene.traffic(name, device, rbytes=chance.randint(0, 200) * MIB, rios=chance.randint(0, 999))
        for device in DISKS:
            if chance.random() < 0.7:
                self.scene.serve(device, chance.random(), reads=chance.randint(0, 2000))
        self.scene.meminfo = chance.choice(({}, {}, {"MemFree": 20 * MIB, "MemAvailable": 9 * MIB}))
        for path in [path for path in self.orders if chance.random() < 0.5]:
            self.end(path, "partial", chance.randint(0, 9) * MIB)

    def end(self, path: str, status: Status, size: int) -> None:
        self.ended.append(Outcome(self.orders.pop(path), status, None, Reclaim(size)))

    def look(self, seconds: float, blind: int | None = None) -> View:
        self.scene.underway = Underway(frozenset(self.orders), tuple(self.ended), frozenset(self.leaving))
        self.ended = []
        return self.seen(self.scene.look(seconds), blind)

    def seen(self, view: View, blind: int | None) -> View:
        """Return the view as it is seen; with `blind` half of what may be unreadable is."""
        if blind is None:
            return view
        chance = random.Random(blind)
        cgroups = {}
        for path, cgroup in view.now.cgroups.items():
            lost = {name: None for name in Cgroup.__struct_fields__[2:] if chance.random() < 0.5}
            cgroups[path] = msgspec.structs.replace(cgroup, **lost)
        node = view.now.node
        facts: dict[str, Any] = {"swaps": (), "disks": {}, "memory_pressure": None}
        if chance.random() < 0.3:
            facts["meminfo"] = type(node.meminfo).of({})
        node = msgspec.structs.replace(node, **facts)
        return replace(view, now=msgspec.structs.replace(view.now, cgroups=cgroups, node=node))

    # --- what an enforcer asks of a node

    def observe(self) -> Snapshot:
        assert self.shown is not None
        return self.shown

    def apply(self, write: Write) -> Value | None:
        cgroup = self.scene.cgroups.get(write.cgroup)
        if cgroup is None or cgroup["inode"] != write.inode:
            raise CgroupGone("no such cgroup", cgroup=write.cgroup, knob=write.knob)
        name = field_of(write.knob)
        assert name is not None
        value = write.value
        if isinstance(value, int) and write.knob.startswith("memory."):
            value = min(value, UNLIMITED) // 4096 * 4096
        cgroup[name] = {**cgroup.get(name, {}), **value} if isinstance(value, dict) else value
        return cgroup[name]  # type: ignore[no-any-return]

    def begin(self, order: Write) -> None:
        assert self.scene.cgroups[order.cgroup]["inode"] == order.inode
        assert order.cgroup not in self.orders
        self.orders[order.cgroup] = order

    def cancel(self, cgroup: str) -> None:
        self.end(cgroup, "stopped", 0)

    def underway(self) -> frozenset[str]:
        return frozenset(self.orders)


def turn(world: World, policies: Any, memories: list[Any], enforcer: Enforcer, view: View) -> list[Outcome]:
    plans = []
    now = view
    for index, policy in enumerate(policies):
        memories[index], plan = policy.decide(memories[index], now)
        now = foresee(now, plan)
        plans.append(plan)
    plan = refuse(overlay(plans), view.now, now.now)
    failed = [one for one in plan.advice if one.problem.startswith("rung ")]
    assert not failed, failed
    for write in plan.writes:
        seen = view.now.cgroups.get(write.cgroup)
        assert seen is not None, write
        assert write.inode == seen.inode, write
        assert write.why
        if isinstance(write.value, int) and not isinstance(write.value, bool):
            assert write.value >= 0, write
        if isinstance(write.value, Reclaim):
            assert write.value.size > 0, write
        theirs = world.theirs.get((write.cgroup, write.inode, write.knob))
        if isinstance(write.value, int) and isinstance(theirs, int):
            # what relax lent may be there: never more than that
            most = max(theirs, getattr(seen, field_of(write.knob) or "") or 0)
            assert write.policy not in ("ease", "throttle") or write.value <= most, (write, theirs)
            assert write.policy not in ("protect", "hierarchy") or write.value >= theirs, (write, theirs)
    assert len({write.target for write in plan.writes}) == len(plan.writes)
    assert all(eviction.uid in {placed.pod.uid for placed in view.pods} for eviction in plan.evictions)
    world.leaving |= {eviction.uid for eviction in plan.evictions}
    world.shown = view.now
    return list(enforcer.enforce(plan, view.now))


@pytest.mark.parametrize("by_kubelet", [False, True])
@given(script=st.lists(st.tuples(happenings, seconds), min_size=3, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
def test_whatever_changes_under_its_hands_nothing_fails_and_everything_is_given_back(
    script: list[tuple[tuple[str, Any], float | None]], new_scene: Callable[[], Scene], by_kubelet: bool
) -> None:
    scene = new_scene()
    world = World(scene)
    policies = ladder(Settings(kubelet=KubeletSettings(write=by_kubelet)))
    memories = [policy.initial() for policy in policies]
    enforcer = Enforcer(world, world.originals)  # type: ignore[arg-type]
    blind = None
    for (kind, what), pause in script:
        if kind == "blind":
            blind = what
        else:
            world.move(kind, what)
        if pause is not None:
            outcomes = turn(world, policies, memories, enforcer, world.look(pause, blind))
            assert all(outcome.status != "failed" or outcome.error for outcome in outcomes)
            blind = None
    given_back(world, enforcer)


def given_back(world: World, enforcer: Enforcer) -> None:
    """Let everything go, and see that each knob holds what somebody else gave it last, and is let go once."""
    now = world.scene.look(1.0).now
    world.shown = now
    first = list(enforcer.enforce(Plan(), now))
    targets = [outcome.write.target for outcome in first]
    assert len(set(targets)) == len(targets)
    for (path, inode, knob), value in world.theirs.items():
        cgroup = world.scene.cgroups.get(path)
        if cgroup is not None and cgroup["inode"] == inode:
            held = cgroup[field_of(knob)]
            if knob == "io.max":
                held = {device: limits for device, limits in held.items() if limits != IoMax()}
            assert held == value, (path, knob)
    assert world.underway() == frozenset()
    for _ in range(2):  # what is gone is looked for twice
        world.shown = world.scene.look(1.0).now
        assert list(enforcer.enforce(Plan(), world.shown)) == []
    assert list(world.originals.all()) == []


def test_the_world_of_these_tests_is_not_too_kind(new_scene: Callable[[], Scene]) -> None:
    """Its moves make the rungs act: what never happens proves nothing."""
    world = World(new_scene())
    policies = ladder(Settings())
    memories = [policy.initial() for policy in policies]
    enforcer = Enforcer(world, world.originals)  # type: ignore[arg-type]
    seen, left = set(), 0
    for number in range(400):
        if number < 100:
            world.move("press", number)
        else:  # nobody waits any more, and one pod runs into a limit that helps nobody
            world.scene.meminfo = {}
            for placed in world.scene.pods:
                world.scene.change(placed.pod.name, memory_current=40 * MIB, memory_stat={"file_dirty": 0})
            world.scene.change("idle/app", memory_high=30 * MIB)
            world.scene.count("idle/app", "memory_events", "high", 50)
        outcomes = turn(world, policies, memories, enforcer, world.look(1.0))
        seen |= {outcome.write.policy for outcome in outcomes}
        left += len(world.leaving)
    rungs = {"protect", "reclaim", "ease", "throttle", "io", "relax"}
    assert seen >= {*rungs, "hierarchy", "swap", "memqos"}, seen
    assert left
