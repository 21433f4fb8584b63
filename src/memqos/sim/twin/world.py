"""What both kinds of LRU share: charges, and what tasks do. A world is a node with files and processes."""

from __future__ import annotations

from abc import abstractmethod

from memqos.sim.twin.reclaim import Reclaiming
from memqos.sim.twin.state import BIG, Group, Key, Page, Shadow

__all__ = ["BIG", "Group", "Key", "Page", "Shadow", "World"]

RETRIES = 16


class World(Reclaiming):
    """A node with files and anonymous memory."""

    @abstractmethod
    def arrive(self, page: Page, in_fault: bool) -> None:
        """A page joins the lists: a new one, or one that comes back (its shadow is looked at)."""

    @abstractmethod
    def accessed(self, page: Page) -> None:
        """A page was read through a file descriptor (folio_mark_accessed)."""

    # -- 1.2, 1.4: charges

    def _fits(self, group: Group, pages: int) -> Group | None:
        return next((each for each in group.up() if each.usage + pages > each.maximum), None)

    def add(self, group: Group, pages: int) -> None:
        """Charge (or, negative, uncharge) a cgroup and its ancestors."""
        for each in group.up():
            each.usage += pages

    def _drain(self) -> None:
        for group, pages in self.stocks.items():
            self.add(group, -pages)
        self.stocks = {}

    def charge(self, group: Group) -> bool:
        """Charge one page; False is ENOMEM after the sixteen retries (the caller is then killed)."""
        if self.stocks.get(group):
            self.stocks[group] -= 1
            return True
        if self._fits(group, 64) is None:
            self.add(group, 64)
            if group not in self.stocks and self.stock_slots == 1:
                self._drain()
            self.stocks[group] = self.stocks.get(group, 0) + 63
            if self.stocks[group] > 64:
                self.add(group, -self.stocks.pop(group))
            return True
        retries, drained = RETRIES, False
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
        self.add(group, 1)
        return True

    # -- what tasks do

    def read(self, group: Group, key: Key) -> bool:
        """Read one page of a file; False: the reader is killed."""
        group.ran = True
        page = self.pages.get(key)
        if page is None:
            if not self.charge(group):
                return False
            page = Page(key, group, anon=False)
            group.counts["read"] += 1
            self.arrive(page, False)
            group.ran = True  # once more: it slept until the disk was done
        self.accessed(page)
        return True

    def touch(self, group: Group, key: Key, write: bool) -> bool:
        """Touch one anonymous page; False: the process is killed."""
        group.ran = True
        page = self.pages.get(key)
        if page is None and key not in self.swapped:
            if not write:
                return True
            if not self.charge(group):
                return False
            page = Page(key, group, anon=True, mapped=True, young=True, dirty=True)
            self.arrive(page, True)
            return True
        if page is None:
            owner = self.swapped[key]
            if not self.charge(owner):
                return False
            page = Page(key, owner, anon=True, slot=True)
            owner.counts["pswpin"] += 1
            self.arrive(page, True)
            group.ran = True
        fresh, page.mapped, page.young = not page.mapped, True, True
        returns = fresh and page.slot and not page.writing
        if returns and ((write and not self.keeps_written) or self.swap_full(page.owner)):
            self.leave_swap(page)
        page.dirty = page.dirty or write
        return True
