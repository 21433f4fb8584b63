"""What the twins know of swap: slots, their cgroups, and writes under way."""

from __future__ import annotations

from abc import ABC, abstractmethod

from memqos.sim.twin.state import Group, Key, Page, Shadow


class Swapping(ABC):
    """Cgroups, pages and the slots of some."""

    keeps_written = False
    """Whether a page that is written to as it is swapped in keeps its slot."""

    def __init__(self, slots: int, swappiness: int = 60) -> None:
        self.groups: dict[str, Group] = {}
        self.pages: dict[Key, Page] = {}
        self.shadows: dict[Key, Shadow] = {}
        self.swapped: dict[Key, Group] = {}
        self.free_slots = self.slots = slots
        self.swappiness = swappiness
        self.stocks: dict[Group, int] = {}
        self.stock_slots = 1
        self.writes: list[Page] = []
        self.skipped = self.low_skipped = False
        self.freed = 0
        self.root = self.group("", None)

    def group(self, name: str, parent: Group | None) -> Group:
        """Make a cgroup."""
        made = Group(name, parent)
        if parent is not None:
            parent.children.append(made)
        self.groups[name] = made
        self.lists_for(made)
        return made

    @abstractmethod
    def lists_for(self, group: Group) -> None:
        """Give a new cgroup its lists."""

    @abstractmethod
    def rotate(self, page: Page) -> None:
        """A page whose write reclaim waits for goes where it is looked at next."""

    def room(self, group: Group) -> int:
        """Pages that may still be swapped out."""
        return min([self.free_slots, *(each.swap_max - each.swap for each in group.up())])

    def swap_full(self, group: Group) -> bool:
        """mem_cgroup_swap_full."""
        return self.free_slots * 2 < self.slots + 1 or any(
            each.swap * 2 >= each.swap_max for each in group.up()
        )

    def swap_out(self, page: Page) -> bool:
        """Give a page a slot; False when there is none for its cgroup."""
        if self.room(page.owner) <= 0:
            return False
        self.free_slots -= 1
        self.swapped[page.key] = page.owner
        for each in page.owner.up():
            each.swap += 1
        page.slot = page.dirty = True
        return True

    def leave_swap(self, page: Page) -> None:
        """A page in memory gives up its slot."""
        for each in self.swapped.pop(page.key).up():
            each.swap -= 1
        self.free_slots += 1
        page.slot, page.dirty = False, True

    def activate(self, page: Page) -> str:
        """Reclaim found a page to be in use, or could not free it."""
        if page.slot and page.mapped and not page.writing and self.swap_full(page.owner):
            self.leave_swap(page)
        page.owner.counts["pgactivate"] += 1
        return "activate"

    def write_out(self, page: Page) -> str:
        """A page's write to swap begins."""
        page.dirty, page.reclaim, page.writing = False, True, True
        page.owner.counts["pswpout"] += 1
        self.writes.append(page)
        return "keep"

    def end_writes(self) -> None:
        """Every write under way ends."""
        for page in self.writes:
            page.writing = False
            if page.reclaim and not page.dirty:
                self.rotate(page)
            page.reclaim = False
        self.writes = []
