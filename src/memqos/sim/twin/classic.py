"""The classic two lists of 6.1: activation by a second access, shadows by age, balance by cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from memqos.sim.twin.world import Group, Page, Shadow, World

Kind = tuple[bool, bool]
"""A list: (anonymous, active)."""


@dataclass(eq=False)
class Lists:
    """A cgroup's lists, oldest page first, its age and its costs."""

    of: dict[Kind, list[Page]] = field(
        default_factory=lambda: {(anon, active): [] for anon in (True, False) for active in (True, False)}
    )
    age: int = 0
    cost: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    refaults_seen: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})


class Classic(World):
    """6.1."""

    def lists_for(self, group: Group) -> None:
        """Four empty ones."""
        if not hasattr(self, "lists"):
            self.lists: dict[Group, Lists] = {}
        self.lists[group] = Lists()

    def size(self, group: Group, *kinds: Kind) -> int:
        """Pages on these lists of the subtree."""
        return sum(len(self.lists[each].of[kind]) for each in group.down() for kind in kinds)

    def _activated(self, target: Group, anon: bool) -> int:
        return sum(group.counts[f"activate_{'anon' if anon else 'file'}"] for group in target.down())

    # -- 2.3: prepare_scan_control

    def begin_pass(self, target: Group, priority: int, force: bool) -> None:
        """prepare_scan_control."""
        mine = self.lists[target]
        self.deactivate = {}
        for anon in (True, False):
            inactive, active = self.size(target, (anon, False)), self.size(target, (anon, True))
            refaulted = self._activated(target, anon) != mine.refaults_seen[anon]
            self.deactivate[anon] = refaulted or inactive < active or force
        self.cache_trim = bool(self.size(target, (False, False)) >> priority) and not self.deactivate[False]
        self.costs = dict(mine.cost)

    def end_reclaim(self, target: Group) -> None:
        """Remember how many refaults there had been (snapshot_refaults)."""
        seen = {anon: self._activated(target, anon) for anon in (True, False)}
        self.lists[target].refaults_seen = seen

    # -- 2.4, 2.5: how much of which list

    def _shares(self, target: Group, group: Group, priority: int, low_reclaim: bool) -> dict[Kind, int]:
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
        for kind, pages in self.lists[group].of.items():
            size = self.shielded(target, group, len(pages), low_reclaim) >> priority
            if balance == "file" and kind[0]:
                size = 0
            elif balance == "cost":
                size = size * share[kind[0]] // (share[True] + share[False])
            result[kind] = size
        return result

    def shrink(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> None:
        """shrink_lruvec."""
        left = self._shares(target, group, priority, low_reclaim)
        targets = dict(left)
        order = [(True, False), (True, True), (False, False), (False, True)]
        lists = self.lists[group].of
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
        if self.slots and len(lists[True, False]) < len(lists[True, True]):
            self._shrink_active(group, True, 32)
        self.freed += freed

    def _shrink_active(self, group: Group, anon: bool, number: int) -> None:
        lists = self.lists[group].of
        for _ in range(min(number, len(lists[anon, True]))):
            page = lists[anon, True].pop(0)
            page.active, page.young, page.workingset = False, False, True
            lists[anon, False].append(page)
            group.counts["deactivate"] += 1

    def _shrink_inactive(self, target: Group, group: Group, anon: bool, number: int) -> int:
        lists = self.lists[group].of
        taken = [lists[anon, False].pop(0) for _ in range(min(number, len(lists[anon, False])))]
        sent = len(self.writes)
        kept = []
        for page in taken:
            fate = self._fate(target, page)
            if fate == "freed":
                continue
            page.active = fate == "activate"
            kept.append(page)
        freed = len(taken) - len(kept)
        for page in kept:  # once all are decided about: move_folios_to_lru
            lists[anon, page.active].append(page)
            if page.active:
                self._age(group)
        self.add(group, -freed)
        group.counts["scan"] += len(taken)
        group.counts["steal"] += freed
        if len(self.writes) > sent:
            self._note_cost(group, anon, len(self.writes) - sent)
        return freed

    # -- 2.7: one page

    def _fate(self, target: Group, page: Page) -> str:
        if page.writing:
            page.reclaim = True
            return self.activate(page)
        young, page.young = page.mapped and page.young, False
        was, page.referenced = page.referenced, young
        if young:
            return self.activate(page) if was else "keep"
        if page.anon and not page.slot and not self.swap_out(page):
            return self.activate(page)
        page.mapped = page.mapped and not page.anon
        if page.dirty:
            return self.write_out(page)
        self.shadows[page.key] = Shadow(target, self.lists[target].age, page.workingset)
        self._age(target)
        del self.pages[page.key]
        return "freed"

    def rotate(self, page: Page) -> None:
        """To the oldest end of the inactive list."""
        lists = self.lists[page.owner].of
        lists[page.anon, page.active].remove(page)
        page.active = False
        lists[page.anon, False].insert(0, page)

    # -- 2.4, 3: cost, age, refaults

    def _note_cost(self, group: Group, anon: bool, cost: int) -> None:
        for each in group.up():
            mine = self.lists[each]
            mine.cost[anon] += cost
            if sum(mine.cost.values()) > self.size(each, *mine.of) // 4:
                mine.cost = {kind: value // 2 for kind, value in mine.cost.items()}

    def _age(self, group: Group) -> None:
        for each in group.up():
            self.lists[each].age += 1

    def arrive(self, page: Page, in_fault: bool) -> None:
        """workingset_refault, then the list it says."""
        shadow = self.shadows.pop(page.key, None)
        if shadow is not None:
            kind = "anon" if page.anon else "file"
            page.owner.counts[f"refault_{kind}"] += 1
            where = shadow.group
            size = self.size(where, (False, True))
            if page.anon:
                size += self.size(where, (False, False))
            if self.room(where) > 0:
                size += self.size(where, (True, True)) + (0 if page.anon else self.size(where, (True, False)))
            if self.lists[where].age - shadow.age <= size:
                page.active = True
                self._age(page.owner)
                page.owner.counts[f"activate_{kind}"] += 1
                if shadow.workingset:
                    page.workingset = True
                    self._note_cost(page.owner, page.anon, 1)
                    page.owner.counts[f"restore_{kind}"] += 1
        self.pages[page.key] = page
        self.lists[page.owner].of[page.anon, page.active].append(page)

    def accessed(self, page: Page) -> None:
        """The second access moves a page to the active list (2.8)."""
        if not page.referenced:
            page.referenced = True
        elif not page.active:
            lists = self.lists[page.owner].of
            lists[False, False].remove(page)
            page.active, page.referenced = True, False
            lists[False, True].append(page)
            self._age(page.owner)
            page.owner.counts["pgactivate"] += 1
