"""A new generation opens, the oldest closes."""

from __future__ import annotations

from memqos.sim.twin.tables import Tables
from memqos.sim.twin.tiers import MAX_GENS, MIN_GENS
from memqos.sim.twin.world import Group, Page


class Aging(Tables):
    """Generations that move on."""

    def _next_gen(self, page: Page) -> int:
        """folio_inc_gen: one younger than the oldest, its accesses forgotten, unless it was promoted."""
        oldest = self.gens[page.owner].oldest[page.anon]
        if self.gen_of(page) == oldest:
            page.gen = oldest + 1
            page.referenced, page.refs = False, 0
            if not self.rework:
                page.workingset = False
        return page.gen

    def _age(self, group: Group, swappiness: int) -> None:
        """try_to_inc_max_seq."""
        mine = self.gens[group]
        self._walk_tables(group, swappiness)
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

    def _advance(self, group: Group, swappiness: int) -> bool:
        """try_to_inc_min_seq; whether one moved."""
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
        moved = False
        for anon in (True, False):
            if new[anon] > mine.oldest[anon]:
                self._forget(group, anon)
                mine.oldest[anon] = new[anon]
                moved = True
        return moved
