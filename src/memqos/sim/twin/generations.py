"""The multi-generational LRU of 6.12, and as reworked in 6.14 (7.2): what is evicted."""

from __future__ import annotations

from memqos.sim.twin.aging import Aging
from memqos.sim.twin.tiers import BATCH, LONGEST, MIN_GENS, TIERS, Tier
from memqos.sim.twin.world import Group, Page, Shadow


class Generations(Aging):
    """6.12, or with `rework` 7.2."""

    def shrink(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> None:
        """lru_gen_shrink_lruvec."""
        self.drain()
        swappiness = self.swappiness if self.room(group) >= BATCH else 0
        self.harvest = False
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
        if self.rework:
            self._advance(group, swappiness)
        anon, limit = self._choose(group, swappiness)
        looked = 0
        isolated: list[Page] = []
        for _ in range(2 if swappiness else 1):
            found, isolated = self._take(group, anon, limit, count)
            looked += found
            if isolated or (found and not self.rework):
                break
            anon = anon if found else not anon
            limit = self._own_limit(group, anon)
        moved = self._advance(group, swappiness) if looked or not self.rework else False
        self._shrink_taken(group, isolated)
        mine = self.gens[group]
        if self.rework:
            return looked
        if mine.newest - mine.oldest[bool(swappiness)] + 1 == MIN_GENS:
            return 0
        return looked + moved

    def _take(self, group: Group, anon: bool, limit: int, count: int) -> tuple[int, list[Page]]:
        """scan_folios: how many pages were looked at, and those that are to be evicted."""
        mine = self.gens[group]
        if mine.newest - mine.oldest[anon] + 1 == MIN_GENS:
            return 0, []
        oldest = mine.lists[anon, mine.oldest[anon]]
        most = min(count, BATCH) if self.rework else LONGEST
        isolated: list[Page] = []
        looked = 0
        while oldest and looked < most and len(isolated) < BATCH:
            page = oldest.pop(0)
            looked += 1
            if not self._sort(page, limit):
                isolated.append(page)
        for page in isolated:
            self._isolate(page)
        group.counts["refill"] += looked - len(isolated)
        group.counts["scan"] += len(isolated)
        return looked if isolated or looked >= most or self.rework else 0, isolated

    def _shrink_taken(self, group: Group, isolated: list[Page]) -> None:
        freed = 0
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
        group.counts["steal"] += freed

    def _sort(self, page: Page, limit: int) -> bool:
        """sort_folio: a page that was promoted, is protected or awaits its write moves on."""
        mine = self.gens[page.owner]
        refs, workingset = self._refs(page), page.workingset
        tier = self._tier(refs, workingset)
        if self.gen_of(page) != mine.oldest[page.anon]:
            mine.lists[page.anon, page.gen].append(page)
            return True
        full = refs + workingset == 5 if self.rework else refs == 4
        if tier > limit or full:
            pages = mine.lists[page.anon, self._next_gen(page)]
            pages.insert(len(pages) if self.rework else 0, page)
            if not (self.rework and full):
                mine.tiers[page.anon][tier].protected += 1
            return True
        if page.writing and not self.rework:
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
        page.isolated = True
        if not self.rework:
            page.reclaim = page.referenced = False

    def _fate(self, page: Page) -> str:
        """shrink_folio_list (2.7)."""
        if page.writing:
            page.reclaim = True
            return self.activate(page)
        if page.mapped and page.referenced and not self.rework:
            return "keep"
        young, page.young = page.mapped and page.young, False
        if young:
            self._look_around(page)
            if not self.rework:
                page.referenced = True
                return "keep"
            if not page.referenced and not page.workingset:
                page.referenced, page.refs = True, 0
                return "keep"
            self.found_again(page)
            return self.activate(page)
        if page.anon and not page.slot and not self.swap_out(page):
            return self.activate(page)
        page.mapped = page.mapped and not page.anon
        if page in self.activating:
            return "keep"
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
