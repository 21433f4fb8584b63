"""The slow twin: the classic LRU, charges, shadows and swap, in the plainest Python there is.

It shares no code with `kernels`: pages are objects, lists are lists, sums are summed anew each time.
`tests/unit/sim/test_twin.py` holds the two to each other over random operations. Its world is small on
purpose: kernel 6.1, no readahead, disks that answer at once (a write ends when the pass of reclaim that
sent it does), one CPU, a node whose own memory never runs short. Sections are those of kernel.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

BIG = 1 << 60
MINOR_RETRIES = 16
Kind = tuple[bool, bool]
"""A list: (anonymous, active)."""


@dataclass(eq=False)
class Page:
    """One page in memory."""

    key: tuple[str, int]
    owner: Group
    anon: bool
    active: bool = False
    referenced: bool = False
    workingset: bool = False
    mapped: bool = False
    young: bool = False
    dirty: bool = False
    writing: bool = False
    reclaim: bool = False
    slot: bool = False


@dataclass
class Shadow:
    """What an evicted page leaves: whose age, and when."""

    group: Group
    age: int
    workingset: bool


@dataclass(eq=False)
class Group:
    """One cgroup."""

    name: str
    parent: Group | None
    maximum: int = BIG
    low: int = 0
    swap_max: int = BIG
    usage: int = 0
    swap: int = 0
    age: int = 0
    cost: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    refaults_seen: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    lists: dict[Kind, list[Page]] = field(default_factory=dict)
    children: list[Group] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    effective_low: int = 0

    def up(self) -> list[Group]:
        """This cgroup and its ancestors."""
        return [self, *(self.parent.up() if self.parent else [])]

    def down(self) -> list[Group]:
        """The subtree in pre-order."""
        return [self, *(each for child in self.children for each in child.down())]

    def size(self, *kinds: Kind) -> int:
        """Pages on these (anon, active) lists of the subtree."""
        return sum(len(group.lists[kind]) for group in self.down() for kind in kinds)


class Twin:
    """A node with files `f*` and anonymous memory `m*`; a page is (name, index)."""

    def __init__(self, slots: int, swappiness: int = 60) -> None:
        self.root = self.group("", None)
        self.groups = {"": self.root}
        self.pages: dict[tuple[str, int], Page] = {}
        self.shadows: dict[tuple[str, int], Shadow] = {}
        self.swapped: dict[tuple[str, int], Group] = {}
        self.free_slots = slots
        self.slots = slots
        self.swappiness = swappiness
        self.stock: tuple[Group | None, int] = (None, 0)
        self.writes: list[Page] = []

    def group(self, name: str, parent: Group | None) -> Group:
        """Make a cgroup."""
        made = Group(
            name, parent, lists={(anon, active): [] for anon in (True, False) for active in (True, False)}
        )
        if parent is not None:
            parent.children.append(made)
            self.groups[name] = made
        return made

    # -- 1.2, 1.4: charges

    def _fits(self, group: Group, pages: int) -> Group | None:
        return next((each for each in group.up() if each.usage + pages > each.maximum), None)

    def _add(self, group: Group, pages: int) -> None:
        for each in group.up():
            each.usage += pages

    def _drain(self) -> None:
        group, pages = self.stock
        if group is not None:
            self._add(group, -pages)
        self.stock = (None, 0)

    def charge(self, group: Group) -> bool:
        """Charge one page; False is ENOMEM after the sixteen retries (the caller is then killed)."""
        if self.stock[0] is group and self.stock[1] >= 1:
            self.stock = (group, self.stock[1] - 1)
            return True
        if self._fits(group, 64) is None:
            self._add(group, 64)
            rest = self.stock[1] if self.stock[0] is group else 0
            if self.stock[0] is not group:
                self._drain()
            self.stock = (group, rest + 63)
            if self.stock[1] > 64:
                self._drain()
            return True
        retries, drained = MINOR_RETRIES, False
        while (over := self._fits(group, 1)) is not None:
            for each in over.up():
                each.counts["max"] += 1
            freed = self.reclaim(over, 32)
            if over.maximum - over.usage >= 1:
                continue
            if not drained:
                self._drain()
                drained = True
            elif not freed:
                retries -= 1
                if retries < 0:
                    return False
        self._add(group, 1)
        return True

    # -- 2.1, 2.2: who is reclaimed from

    def reclaim(self, target: Group, wanted: int) -> int:
        """try_to_free_mem_cgroup_pages."""
        force = low_reclaim = False
        while True:
            freed, self.skipped, self.low_skipped = 0, False, False
            for priority in range(12, -1, -1):
                self._prepare(target, priority, force)
                for group in target.down():
                    self._protect(target, group)
                    if group is not target and group.effective_low and group.effective_low >= group.usage:
                        if not low_reclaim:
                            self.low_skipped = True
                            continue
                        for each in group.up():
                            each.counts["low"] += 1
                    freed += self._shrink(target, group, priority, wanted, low_reclaim)
                self._end_writes()
                if freed >= wanted:
                    break
            target.refaults_seen = {anon: self._activated(target, anon) for anon in (True, False)}
            if freed:
                return freed
            if self.skipped:
                force = True
            elif self.low_skipped and not low_reclaim:
                force, low_reclaim = False, True
            else:
                return 0

    def _protect(self, target: Group, group: Group) -> None:
        """effective_protection of memory.low, with memory_recursiveprot."""
        if group is target or group.usage == 0:
            return
        parent = group.parent
        assert parent is not None
        if parent is target:
            group.effective_low = group.low
            return
        claimed = sum(min(child.usage, child.low) for child in parent.children)
        mine = min(group.usage, group.low)
        given = parent.effective_low
        if claimed > given:
            group.effective_low = mine * given // claimed
            return
        group.effective_low = mine
        if given > claimed and parent.usage > claimed and group.usage > mine:
            group.effective_low += (given - claimed) * (group.usage - mine) // (parent.usage - claimed)

    def _activated(self, target: Group, anon: bool) -> int:
        return sum(group.counts[f"activate_{'anon' if anon else 'file'}"] for group in target.down())

    # -- 2.3: prepare_scan_control

    def _prepare(self, target: Group, priority: int, force: bool) -> None:
        self.deactivate = {}
        for anon in (True, False):
            inactive, active = target.size((anon, False)), target.size((anon, True))
            refaulted = self._activated(target, anon) != target.refaults_seen[anon]
            self.deactivate[anon] = refaulted or inactive < active or force
        self.cache_trim = bool(target.size((False, False)) >> priority) and not self.deactivate[False]
        self.costs = dict(target.cost)

    # -- 2.4, 2.5: how much of which list

    def room(self, group: Group) -> int:
        """Pages that may still be swapped out."""
        return min([self.free_slots, *(each.swap_max - each.swap for each in group.up())])

    def _shares(
        self, target: Group, group: Group, priority: int, low_reclaim: bool
    ) -> dict[tuple[bool, bool], int]:
        if self.room(group) <= 0:
            balance = "file"
        elif priority == 0:
            balance = "equal"
        elif self.cache_trim:
            balance = "file"
        else:
            balance = "cost"
        total = self.costs[True] + self.costs[False]
        costs = {anon: total + self.costs[anon] for anon in (True, False)}
        whole = costs[True] + costs[False]
        share = {
            True: self.swappiness * (whole + 1) // (costs[True] + 1),
            False: (200 - self.swappiness) * (whole + 1) // (costs[False] + 1),
        }
        result = {}
        for kind, pages in group.lists.items():
            size = len(pages)
            if group is not target and group.effective_low:
                shield = 0
                if not low_reclaim:
                    shield, self.low_skipped = group.effective_low, True
                size = max(size - size * shield // (max(group.usage, shield) + 1), 32)
            size >>= priority
            if balance == "file" and kind[0]:
                size = 0
            elif balance == "cost":
                size = size * share[kind[0]] // (share[True] + share[False])
            result[kind] = size
        return result

    def _shrink(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> int:
        left = self._shares(target, group, priority, low_reclaim)
        targets = dict(left)
        order = [(True, False), (True, True), (False, False), (False, True)]
        freed = 0
        while left[True, False] or left[False, False] or left[False, True]:
            for kind in order:
                part = min(32, left[kind])
                left[kind] -= part
                if not part:
                    continue
                if not kind[1]:
                    freed += self._shrink_inactive(target, group, kind[0], part)
                elif self.deactivate[kind[0]]:
                    self._shrink_active(group, kind[0], part)
                else:
                    self.skipped = True
            if freed < wanted:
                continue
            file = left[False, False] + left[False, True]
            anon = left[True, False] + left[True, True]
            if not file or not anon:
                break
            less = file > anon  # the type that has less left gives way: anon when there is more file
            rest = (anon if less else file) * 100 // (targets[less, False] + targets[less, True] + 1)
            for active in (False, True):
                left[less, active] = 0
                done = targets[not less, active] - left[not less, active]
                left[not less, active] = max(0, targets[not less, active] * (100 - rest) // 100 - done)
        if self.slots and len(group.lists[True, False]) < len(group.lists[True, True]):
            self._shrink_active(group, True, 32)
        return freed

    def _shrink_active(self, group: Group, anon: bool, number: int) -> None:
        for _ in range(min(number, len(group.lists[anon, True]))):
            page = group.lists[anon, True].pop(0)
            page.active, page.young, page.workingset = False, False, True
            group.lists[anon, False].append(page)
            group.counts["deactivate"] += 1

    def _shrink_inactive(self, target: Group, group: Group, anon: bool, number: int) -> int:
        taken = [group.lists[anon, False].pop(0) for _ in range(min(number, len(group.lists[anon, False])))]
        sent = len(self.writes)
        freed = 0
        for page in taken:
            fate = self._fate(target, group, page)
            if fate == "freed":
                freed += 1
                continue
            if fate == "activate":
                page.active = True
                group.counts["pgactivate"] += 1
                self._age(group)
            group.lists[anon, page.active].append(page)
        self._add(group, -freed)
        group.counts["scan"] += len(taken)
        group.counts["steal"] += freed
        if len(self.writes) > sent:
            self._note_cost(group, anon, len(self.writes) - sent)
        return freed

    # -- 2.7: one page

    def _fate(self, target: Group, group: Group, page: Page) -> str:
        if page.writing:
            page.reclaim = True
            return self._activate(group, page)
        young, page.young = page.mapped and page.young, False
        was, page.referenced = page.referenced, young
        if young:
            return self._activate(group, page) if was else "keep"
        if page.anon and not page.slot:
            if self.room(group) <= 0:
                return self._activate(group, page)
            self.free_slots -= 1
            self.swapped[page.key] = group
            for each in group.up():
                each.swap += 1
            page.slot = page.dirty = True
        page.mapped = page.mapped and not page.anon
        if page.dirty:
            page.dirty, page.reclaim, page.writing = False, True, True
            group.counts["pswpout"] += 1
            self.writes.append(page)
            return "keep"
        self.shadows[page.key] = Shadow(target, target.age, page.workingset)
        self._age(target)
        del self.pages[page.key]
        return "freed"

    def _activate(self, group: Group, page: Page) -> str:
        if page.slot and self._swap_full(group):
            self._leave_swap(page)
        return "activate"

    def _end_writes(self) -> None:
        for page in self.writes:
            page.writing = False
            if page.reclaim and not page.dirty:
                page.owner.lists[page.anon, page.active].remove(page)
                page.active = False
                page.owner.lists[page.anon, False].insert(0, page)
            page.reclaim = False
        self.writes = []

    # -- 2.4, 3: cost, age, refaults

    def _note_cost(self, group: Group, anon: bool, cost: int) -> None:
        for each in group.up():
            each.cost[anon] += cost
            if sum(each.cost.values()) > each.size(*each.lists) // 4:
                each.cost = {kind: value // 2 for kind, value in each.cost.items()}

    def _age(self, group: Group) -> None:
        for each in group.up():
            each.age += 1

    def _arrive(self, page: Page) -> None:
        """A page is read: workingset_refault, then its list."""
        shadow = self.shadows.pop(page.key, None)
        if shadow is not None:
            kind = "anon" if page.anon else "file"
            page.owner.counts[f"refault_{kind}"] += 1
            where = shadow.group
            size = where.size((False, True))
            if page.anon:
                size += where.size((False, False))
            if self.room(where) > 0:
                size += where.size((True, True)) + (0 if page.anon else where.size((True, False)))
            if where.age - shadow.age <= size:
                page.active = True
                self._age(page.owner)
                page.owner.counts[f"activate_{kind}"] += 1
                if shadow.workingset:
                    page.workingset = True
                    self._note_cost(page.owner, page.anon, 1)
                    page.owner.counts[f"restore_{kind}"] += 1
        self.pages[page.key] = page
        page.owner.lists[page.anon, page.active].append(page)

    # -- 7: swap

    def _swap_full(self, group: Group) -> bool:
        return self.free_slots * 2 < self.slots + 1 or any(
            each.swap * 2 >= each.swap_max for each in group.up()
        )

    def _leave_swap(self, page: Page) -> None:
        for each in self.swapped.pop(page.key).up():
            each.swap -= 1
        self.free_slots += 1
        page.slot, page.dirty = False, True

    # -- what tasks do

    def read(self, group: Group, key: tuple[str, int]) -> bool:
        """Read one page of a file; False: the reader is killed."""
        page = self.pages.get(key)
        if page is None:
            if not self.charge(group):
                return False
            page = Page(key, group, anon=False)
            group.counts["read"] += 1
            self._arrive(page)
        if not page.referenced:
            page.referenced = True
        elif not page.active:
            page.owner.lists[False, False].remove(page)
            page.active, page.referenced = True, False
            page.owner.lists[False, True].append(page)
            self._age(page.owner)
            page.owner.counts["pgactivate"] += 1
        return True

    def touch(self, group: Group, key: tuple[str, int], write: bool) -> bool:
        """Touch one anonymous page; False: the process is killed."""
        page = self.pages.get(key)
        if page is None and key not in self.swapped:
            if not write:
                return True
            if not self.charge(group):
                return False
            page = Page(key, group, anon=True, mapped=True, young=True, dirty=True)
            self.pages[key] = page
            group.lists[True, False].append(page)
            return True
        if page is None:
            owner = self.swapped[key]
            if not self.charge(owner):
                return False
            page = Page(key, owner, anon=True, slot=True)
            owner.counts["pswpin"] += 1
            self._arrive(page)
        fresh, page.mapped, page.young = not page.mapped, True, True
        if page.slot and not page.writing and (write or (fresh and self._swap_full(page.owner))):
            self._leave_swap(page)
        return True
