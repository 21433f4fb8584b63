"""The multi-generational LRU of 6.12, and as reworked in 6.14 (7.2): kernel.md 4.

A list holds pages that were put there; which generation a page belongs to is its own `gen`, which a walk of
the page tables may change without moving it (folio_update_gen).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from memqos.sim.twin.world import Group, Page, Shadow, World

MIN_GENS, MAX_GENS, TIERS, BATCH, LONGEST = 2, 4, 4, 64, 4096
HOT = 64
"""Young entries of a table of 512 that make it worth the next walk (an eighth)."""


@dataclass
class Tier:
    """What became of the pages of one type and tier: now, and on average before."""

    refaulted: int = 0
    evicted: int = 0
    protected: int = 0
    avg_refaulted: int = 0
    avg_total: int = 0

    @property
    def refaults(self) -> int:
        """All refaults that count."""
        return self.avg_refaulted + self.refaulted

    @property
    def total(self) -> int:
        """All pages that could have been refaulted."""
        return self.avg_total + self.evicted + self.protected


@dataclass(eq=False)
class Gens:
    """A cgroup's generations: lists by type and number (oldest page first), tiers by type."""

    newest: int = 3
    oldest: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    lists: dict[tuple[bool, int], list[Page]] = field(
        default_factory=lambda: {(anon, gen): [] for anon in (True, False) for gen in range(4)}
    )
    tiers: dict[bool, list[Tier]] = field(
        default_factory=lambda: {anon: [Tier() for _ in range(TIERS)] for anon in (True, False)}
    )
    walked: bool = False
    hot: bool = False


class Generations(World):
    """6.12, or with `rework` 7.2."""

    partial_walk = True

    def __init__(self, slots: int, swappiness: int = 60, *, rework: bool = False) -> None:
        self.gens: dict[Group, Gens] = {}
        self.rework = rework
        super().__init__(slots, swappiness)

    def lists_for(self, group: Group) -> None:
        """Generations 0 to 3, empty."""
        self.gens[group] = Gens()

    def begin_pass(self, target: Group, priority: int, force: bool) -> None:
        """Nothing is decided for the whole subtree."""

    def end_reclaim(self, target: Group) -> None:
        """Nothing is remembered."""

    def count(self, group: Group, anon: bool, gen: int) -> int:
        """Pages that belong to one generation, wherever they lie."""
        mine = self.gens[group]
        return sum(
            page.gen == gen for (kind, _), pages in mine.lists.items() if kind == anon for page in pages
        )

    # -- 4.2, 4.3: where a page enters, and what an access does

    def _place(self, page: Page, active: bool) -> int:
        mine = self.gens[page.owner]
        oldest = mine.oldest[page.anon]
        fresh = page.anon and not page.slot
        awaited = page.reclaim and (page.dirty or page.writing)
        if self.rework:
            if active:
                back = MIN_GENS - page.workingset
            elif fresh or awaited:
                back = MIN_GENS
            else:
                back = MAX_GENS - (page.workingset or page.referenced)
            return max(mine.newest - back + 1, oldest)
        if active:
            return mine.newest
        if fresh or awaited:
            return mine.newest - 1
        return oldest if oldest + MIN_GENS >= mine.newest else oldest + 1

    def _put(self, page: Page, active: bool) -> None:
        page.gen = self._place(page, active)
        if active and not self.rework:
            page.refs, page.referenced = 0, False
        self.gens[page.owner].lists[page.anon, page.gen].append(page)

    def accessed(self, page: Page) -> None:
        """No page moves; its flags count accesses up to five."""
        if not page.referenced:
            page.referenced = True
            if self.rework:
                page.refs = 0
        elif self.rework:
            if page.refs < 3:
                page.refs += 1
            else:
                page.workingset = True
        elif not page.workingset:
            page.workingset = True
        else:
            page.refs = min(3, page.refs + 1)

    def _refs(self, page: Page) -> int:
        if self.rework:
            return page.refs + 1 if page.referenced else 0
        return page.refs + page.workingset

    def _tier(self, refs: int, workingset: bool) -> int:
        if self.rework:
            return TIERS - 1 if workingset else max(0, refs - 1).bit_length()
        return refs.bit_length()

    def arrive(self, page: Page, in_fault: bool) -> None:
        """lru_gen_refault (4.6), then folio_add_lru."""
        shadow = self.shadows.pop(page.key, None)
        if shadow is not None and shadow.group is page.owner:
            self._refault(page, shadow, in_fault)
        self.pages[page.key] = page
        active = in_fault
        if in_fault and self.rework:
            active = page.workingset
            if not active:
                self.accessed(page)
        self._put(page, active)

    def _refault(self, page: Page, shadow: Shadow, in_fault: bool) -> None:
        group, mine = page.owner, self.gens[page.owner]
        kind = "anon" if page.anon else "file"
        group.counts[f"refault_{kind}"] += 1
        if self.rework:
            if abs(mine.newest - shadow.age) >= MAX_GENS:
                return
            mine.tiers[page.anon][self._tier(shadow.refs + 1, shadow.workingset)].refaulted += 1
            if shadow.workingset:
                page.workingset = True
                group.counts[f"restore_{kind}"] += 1
                group.counts[f"activate_{kind}"] += in_fault
            else:
                page.refs = shadow.refs
            return
        if shadow.age != mine.oldest[page.anon]:
            return
        refs = shadow.refs + shadow.workingset
        mine.tiers[page.anon][self._tier(refs, False)].refaulted += 1
        group.counts[f"activate_{kind}"] += 1
        if in_fault or refs >= 3:
            page.workingset, page.refs = True, 3
            group.counts[f"restore_{kind}"] += 1

    def rotate(self, page: Page) -> None:
        """To the oldest end of the oldest generation."""
        mine = self.gens[page.owner]
        next(pages for pages in mine.lists.values() if page in pages).remove(page)
        page.gen = mine.oldest[page.anon]
        mine.lists[page.anon, page.gen].insert(0, page)

    # -- 4.4: aging

    def _update(self, page: Page) -> None:
        """folio_update_gen: a walk found the page's table entry young."""
        if self.rework and not page.referenced and not page.workingset:
            page.referenced, page.refs = True, 0
            return
        page.gen = self.gens[page.owner].newest
        page.referenced, page.refs, page.workingset = False, 0, self.rework

    def _next_gen(self, page: Page) -> int:
        """folio_inc_gen: one younger than the oldest, its accesses forgotten, unless it was promoted."""
        oldest = self.gens[page.owner].oldest[page.anon]
        if page.gen == oldest:
            page.gen = oldest + 1
            page.referenced, page.refs = False, 0
            if not self.rework:
                page.workingset = False
        return page.gen

    def _age(self, group: Group, swappiness: int) -> None:
        """try_to_inc_max_seq."""
        mine = self.gens[group]
        if mine.hot or not mine.walked:
            young = [page for page in self.pages.values() if page.owner is group and page.anon and page.young]
            for page in young:
                page.young = False
                self._update(page)
            mine.hot = len(young) >= HOT
        mine.walked = True
        for anon in (False, True):
            oldest = mine.oldest[anon]
            if mine.newest - oldest + 1 < MAX_GENS:
                continue
            left = mine.lists.pop((anon, oldest))
            if anon and not swappiness:
                for page in self.pages.values():
                    if page.owner is group and page.anon and page.gen == oldest:
                        page.gen = oldest + MAX_GENS
                mine.lists[anon, oldest + MAX_GENS] = left
            else:
                for page in left:
                    self._fold(page)
                mine.lists[anon, oldest + MAX_GENS] = []
            self._forget(group, anon)
            mine.oldest[anon] += 1
        mine.newest += 1
        for anon in (True, False):
            mine.lists.setdefault((anon, mine.newest), [])

    def _fold(self, page: Page) -> None:
        mine = self.gens[page.owner]
        refs, workingset = self._refs(page), page.workingset
        mine.lists[page.anon, self._next_gen(page)].insert(0, page)
        if self.rework and refs + workingset != 5:
            mine.tiers[page.anon][self._tier(refs, workingset)].protected += 1

    def _forget(self, group: Group, anon: bool) -> None:
        """reset_ctrl_pos: what happened counts half from now on."""
        for tier in self.gens[group].tiers[anon]:
            tier.avg_refaulted, tier.avg_total = tier.refaults // 2, tier.total // 2
            tier.refaulted = tier.evicted = tier.protected = 0

    def _advance(self, group: Group, swappiness: int) -> None:
        """try_to_inc_min_seq."""
        mine = self.gens[group]
        new = dict(mine.oldest)
        for anon in (True, False):
            if anon and not swappiness:
                continue
            while new[anon] + MIN_GENS <= mine.newest and not mine.lists[anon, new[anon]]:
                new[anon] += 1
        if swappiness and self.rework:
            seq = mine.newest - MIN_GENS
            if new[True] > seq and new[False] < seq:
                new[True] = seq
            elif new[False] > seq and new[True] < seq:
                new[False] = seq
        elif swappiness:
            new[True] = min(new[True], new[False])
            new[False] = max(new[True], mine.oldest[False])
        for anon in (True, False):
            if new[anon] > mine.oldest[anon]:
                self._forget(group, anon)
                mine.oldest[anon] = new[anon]

    # -- 4.5: eviction

    def shrink(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> None:
        """lru_gen_shrink_lruvec."""
        swappiness = self.swappiness if self.room(group) >= BATCH else 0
        if self.rework:
            self._shrink_rework(target, group, priority, wanted, low_reclaim, swappiness)
            return
        scanned = 0
        while (count := self._to_scan(group, priority, swappiness)) > 0:
            done = self._evict(group, swappiness, count)
            scanned += done
            if not done or scanned >= count:
                return

    def _evictable(self, group: Group, swappiness: int) -> int:
        mine = self.gens[group]
        return sum(
            self.count(group, anon, gen)
            for anon in ((True, False) if swappiness else (False,))
            for gen in range(mine.oldest[anon], mine.newest + 1)
        )

    def _to_scan(self, group: Group, priority: int, swappiness: int) -> int:
        """get_nr_to_scan of 6.12; -1 when it aged instead."""
        mine = self.gens[group]
        total = self._evictable(group, swappiness)
        oldest = mine.oldest[bool(swappiness)]
        if must_age := oldest + MIN_GENS > mine.newest:
            total = 0
        elif oldest + MIN_GENS == mine.newest:
            kinds = (True, False) if swappiness else (False,)
            young = sum(self.count(group, anon, mine.newest) for anon in kinds)
            old = sum(self.count(group, anon, oldest) for anon in kinds if mine.oldest[anon] <= oldest)
            must_age = young * MIN_GENS > total or old * (MIN_GENS + 2) < total
        if not must_age or priority == 12:
            return total >> priority
        self._age(group, swappiness)
        return -1

    def _shrink_rework(
        self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool, swappiness: int
    ) -> None:
        mine = self.gens[group]
        left = self.shielded(target, group, self._evictable(group, swappiness), low_reclaim) >> priority
        while left > 0:
            oldest = min(mine.oldest[anon] for anon in ((True, False) if swappiness else (False,)))
            if oldest + MIN_GENS > mine.newest or (priority < 12 and oldest + MIN_GENS == mine.newest):
                self._age(group, swappiness)
            done = self._evict(group, swappiness, left)
            if not done or self.freed >= wanted:
                return
            left -= done

    def _within(self, before: Tier, gain: int, after: Tier, after_gain: int) -> bool:
        """positive_ctrl_err: pages of `after` come back no more often than those of `before`."""
        return (
            after.refaults < BATCH
            or after.refaults * (before.total + BATCH) * gain
            <= (before.refaults + 1) * after.total * after_gain
        )

    def _sum(self, group: Group, anon: bool) -> Tier:
        tiers = self.gens[group].tiers[anon]
        return Tier(
            avg_refaulted=sum(tier.refaults for tier in tiers), avg_total=sum(tier.total for tier in tiers)
        )

    def _limit(self, before: Tier, gain: int, tiers: list[Tier], after_gain: int) -> int:
        limit = 0
        while limit + 1 < TIERS and self._within(before, gain, tiers[limit + 1], after_gain):
            limit += 1
        return limit

    def _own_limit(self, group: Group, anon: bool) -> int:
        """get_tier_idx."""
        tiers = self.gens[group].tiers[anon]
        return self._limit(tiers[0], 2 if self.rework else 1, tiers, 3 if self.rework else 2)

    def _choose(self, group: Group, swappiness: int) -> tuple[bool, int]:
        """get_type_to_scan: anonymous or not, and the highest tier that may go."""
        mine = self.gens[group]
        if not swappiness:
            return False, self._own_limit(group, False)
        gain = {True: swappiness, False: 200 - swappiness}
        if self.rework:
            file = self._within(self._sum(group, True), gain[True], self._sum(group, False), gain[False])
            return not file, self._own_limit(group, not file)
        if mine.oldest[True] < mine.oldest[False]:
            return True, self._own_limit(group, True)
        anon = not self._within(mine.tiers[True][0], gain[True], mine.tiers[False][0], gain[False])
        return anon, self._limit(mine.tiers[not anon][0], gain[not anon], mine.tiers[anon], gain[anon])

    def _evict(self, group: Group, swappiness: int, count: int) -> int:
        """evict_folios; returns how many pages were looked at."""
        anon, limit = self._choose(group, swappiness)
        looked = self._evict_type(group, anon, limit, count)
        if not looked and swappiness:
            looked = self._evict_type(group, not anon, self._own_limit(group, not anon), count)
        self._advance(group, swappiness)
        return looked

    def _evict_type(self, group: Group, anon: bool, limit: int, count: int) -> int:
        mine = self.gens[group]
        if mine.newest - mine.oldest[anon] + 1 == MIN_GENS:
            return 0
        oldest = mine.lists[anon, mine.oldest[anon]]
        most = min(count, BATCH) if self.rework else LONGEST
        isolated: list[Page] = []
        looked = 0
        while oldest and looked < most and len(isolated) < BATCH:
            page = oldest.pop(0)
            looked += 1
            if not self._sort(page, limit):
                isolated.append(page)
        freed = 0
        for page in isolated:
            self._isolate(page)
        left = []
        for page in isolated:
            if (fate := self._fate(page)) == "freed":
                freed += 1
            else:
                left.append((page, fate == "activate"))
        for page, active in left:
            self._put_back(page, active)
        self.add(group, -freed)
        self.freed += freed
        group.counts["refill"] += looked - len(isolated)
        group.counts["scan"] += len(isolated)
        group.counts["steal"] += freed
        return looked if isolated or looked >= most else 0

    def _sort(self, page: Page, limit: int) -> bool:
        """sort_folio: a page that was promoted, is protected or awaits its write moves on."""
        mine = self.gens[page.owner]
        refs, workingset = self._refs(page), page.workingset
        tier = self._tier(refs, workingset)
        if page.gen != mine.oldest[page.anon]:
            mine.lists[page.anon, page.gen].append(page)
            return True
        full = refs + workingset == 5 if self.rework else refs == 4
        if tier > limit or full:
            pages = mine.lists[page.anon, self._next_gen(page)]
            pages.insert(len(pages) if self.rework else 0, page)
            if not (self.rework and full):
                mine.tiers[page.anon][tier].protected += 1
            return True
        if page.writing:
            mine.lists[page.anon, self._next_gen(page)].append(page)
            page.reclaim = True
            return True
        return False

    def _isolate(self, page: Page) -> None:
        """isolate_folio: an access that was only counted in bits does not count any more."""
        if not page.referenced:
            page.refs = 0
            if not self.rework:
                page.workingset = False
        page.reclaim = False
        if not self.rework:
            page.referenced = False

    def _fate(self, page: Page) -> str:
        """shrink_folio_list (2.7)."""
        young, page.young = page.mapped and page.young, False
        if young and not self.rework:
            page.referenced = True
            return "keep"
        if young:
            if not page.referenced and not page.workingset:
                page.referenced, page.refs = True, 0
                return "keep"
            page.referenced, page.refs, page.workingset = False, 0, True
            return self.activate(page)
        if page.anon and not page.slot and not self.swap_out(page):
            return self.activate(page)
        page.mapped = page.mapped and not page.anon
        if page.dirty:
            return self.write_out(page)
        mine = self.gens[page.owner]
        refs = self._refs(page)
        mine.tiers[page.anon][self._tier(refs, page.workingset)].evicted += 1
        workingset = page.workingset if self.rework else refs > 0
        self.shadows[page.key] = Shadow(page.owner, mine.oldest[page.anon], workingset, max(0, refs - 1))
        del self.pages[page.key]
        return "freed"

    def _put_back(self, page: Page, active: bool) -> None:
        """What evict_folios does with pages it could not free."""
        mine = self.gens[page.owner]
        if self.rework:
            if self._place(page, active) == mine.oldest[page.anon]:
                page.referenced, page.refs, active = False, 0, True
        elif page.reclaim and (page.dirty or page.writing):
            page.referenced = page.referenced or page.workingset
        else:
            page.referenced, page.refs, page.workingset, active = False, 0, False, True
        self._put(page, active)
