"""Where a page enters the generations, and what an access does to it.

A list holds pages that were put there; which generation a page belongs to is its own `gen`, which a walk of
the page tables may change without moving it (folio_update_gen).
"""

from __future__ import annotations

from memqos.sim.twin.tiers import MAX_GENS, MIN_GENS, TIERS, Gens
from memqos.sim.twin.world import Group, Page, Shadow, World

PAGEVEC = 31  # PAGEVEC_SIZE


class Placement(World):
    """Generations of 6.12, or with `rework` of 7.2; a process's memory has `span` pages."""

    partial_walk = True

    def __init__(self, slots: int, swappiness: int = 60, *, rework: bool = False, span: int = 0) -> None:
        self.gens: dict[Group, Gens] = {}
        self.rework = rework
        self.keeps_written = rework
        self.span = span
        self.harvest = False
        self.batch: list[tuple[Page | None, bool]] = []
        self.activating: list[Page] = []
        super().__init__(slots, swappiness)
        self.stock_slots = 7 if rework else 1

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
            self.gen_of(page) == gen
            for (kind, _), pages in mine.lists.items()
            if kind == anon
            for page in pages
        )

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

    def gen_of(self, page: Page) -> int:
        """Pages know their generation by its last two bits, and one may have been passed by since."""
        while page.gen < self.gens[page.owner].oldest[page.anon]:
            page.gen += MAX_GENS
        return page.gen

    def _put(self, page: Page, active: bool) -> None:
        page.isolated = False
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

    def found_again(self, page: Page) -> None:
        """lru_gen_set_refs: the third access makes a page part of the working set."""
        if self._refs(page) > 1:
            page.referenced, page.refs, page.workingset = False, 0, True
        else:
            self.accessed(page)

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
        if not self.rework or page.anon:
            self._put(page, active)
        if self.rework:
            self.batch.append((None if page.anon else page, active))
            if len(self.batch) == PAGEVEC:
                self._add_batch()

    def drain(self) -> None:
        """lru_add_drain: pages of files get to the lists 31 at a time, or when reclaim begins."""
        self._add_batch()
        self._activate_batch()

    def _add_batch(self) -> None:
        for page, active in self.batch:
            if page is not None:
                self._put(page, active)
        self.batch = []

    def _activate_batch(self) -> None:
        """lru_activate: what reclaim has taken off its list meanwhile stays as it is."""
        for page in self.activating:
            if not page.isolated:
                self.take_off(page)
                self._put(page, True)
                page.owner.counts["pgactivate"] += 1
        self.activating = []

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

    def take_off(self, page: Page) -> None:
        """A page leaves the list it lies on."""
        next(pages for pages in self.gens[page.owner].lists.values() if page in pages).remove(page)

    def rotate(self, page: Page) -> None:
        """To the oldest end of the oldest generation."""
        mine = self.gens[page.owner]
        self.take_off(page)
        page.gen = mine.oldest[page.anon]
        mine.lists[page.anon, page.gen].insert(0, page)
