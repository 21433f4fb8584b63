"""Accessed bits of page tables: harvested by walks, and around a page that is reclaimed."""

from __future__ import annotations

from memqos.sim.twin.placement import PAGEVEC, Placement
from memqos.sim.twin.world import Group, Page

WINDOW = 64
HOT = 8
"""An eighth of a table's entries young makes it worth the next walk."""


class Tables(Placement):
    """Generations with page tables."""

    def _found(self, page: Page) -> None:
        """A page's table entry was young."""
        page.young = False
        newest = self.gens[page.owner].newest
        if self.rework:
            if not page.referenced and not page.workingset:
                page.referenced, page.refs = True, 0
                return
            if self.harvest:
                page.referenced, page.refs, page.workingset = False, 0, True
            else:
                self.found_again(page)
        elif page.isolated:
            page.referenced = True
            return
        elif self.harvest:
            page.referenced, page.refs, page.workingset = False, 0, False
        if page.gen == newest:
            return
        if self.harvest:
            page.gen = newest
        else:
            self.activating.append(page)
            if len(self.activating) == PAGEVEC:
                self._activate_batch()

    def _harvest(self, pages: list[Page]) -> int:
        young = [page for page in pages if page.young and page.mapped and not (self.rework and page.isolated)]
        for page in young:
            self._found(page)
        return len(young)

    def _walk_tables(self, group: Group, swappiness: int) -> None:
        """Look at the page table of the cgroup's process, if it ran since the last walk and is worth it.

        A filter says that it is, one for each two generations; at first, and without one, it always is.
        """
        mine = self.gens[group]
        this, following = mine.newest % 2, (mine.newest + 1) % 2
        self.harvest = True
        if mine.walked and not group.ran:
            return
        whole = not mine.walked or mine.hot[this] is None
        mine.walked, group.ran = True, False
        mine.hot[following] = False
        if swappiness and (whole or mine.hot[this]):
            heap = [page for page in self.pages.values() if page.owner is group and page.anon]
            young = self._harvest(sorted(heap, key=lambda page: page.key))
            mine.hot[following] = young * HOT >= self.span

    def _look_around(self, page: Page) -> None:
        """lru_gen_look_around: the entries near that of a young page."""
        path, index = page.key
        first, end = 0, self.span
        if self.span > WINDOW:
            first = min(max(0, index - WINDOW // 2), self.span - WINDOW)
            end = first + WINDOW
        near = [self.pages.get((path, number)) for number in range(first, end)]
        young = 1 + self._harvest([each for each in near if each is not None and each.owner is page.owner])
        mine = self.gens[page.owner]
        if young * HOT >= end - first and mine.hot[mine.newest % 2] is not None:
            mine.hot[mine.newest % 2] = True
