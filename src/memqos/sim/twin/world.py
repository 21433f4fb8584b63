"""What both kinds of LRU share: charges, the walk over the cgroups, protection, swap, tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field

BIG = 1 << 60
RETRIES = 16
Key = tuple[str, int]
"""A page: the file's or the memory's name, and which of its pages."""


@dataclass(eq=False)
class Page:
    """One page in memory. `active` is classic, `gen` and `refs` are multi-generational."""

    key: Key
    owner: Group
    anon: bool
    active: bool = False
    gen: int = 0
    refs: int = 0
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
    """What an evicted page leaves: whose age or generation, and when; how often it had been read."""

    group: Group
    age: int
    workingset: bool
    refs: int = 0


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
    children: list[Group] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    effective_low: int = 0
    position: Group | None = None
    """Where the reclaim of this subtree stands (mem_cgroup_iter with a shared position)."""

    def up(self) -> list[Group]:
        """This cgroup and its ancestors."""
        return [self, *(self.parent.up() if self.parent else [])]

    def down(self) -> list[Group]:
        """The subtree in pre-order."""
        return [self, *(each for child in self.children for each in child.down())]


class World(ABC):
    """A node with files and anonymous memory."""

    partial_walk = False

    def __init__(self, slots: int, swappiness: int = 60) -> None:
        self.groups: dict[str, Group] = {}
        self.pages: dict[Key, Page] = {}
        self.shadows: dict[Key, Shadow] = {}
        self.swapped: dict[Key, Group] = {}
        self.free_slots = self.slots = slots
        self.swappiness = swappiness
        self.stock: tuple[Group | None, int] = (None, 0)
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
    def begin_pass(self, target: Group, priority: int, force: bool) -> None:
        """Look at the target once before its subtree is walked."""

    @abstractmethod
    def end_reclaim(self, target: Group) -> None:
        """A reclaim of this target has ended."""

    @abstractmethod
    def shrink(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> None:
        """Reclaim from one cgroup; adds to `freed`."""

    @abstractmethod
    def rotate(self, page: Page) -> None:
        """A page whose write reclaim waits for goes where it is looked at next."""

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
        group, pages = self.stock
        if group is not None:
            self.add(group, -pages)
        self.stock = (None, 0)

    def charge(self, group: Group) -> bool:
        """Charge one page; False is ENOMEM after the sixteen retries (the caller is then killed)."""
        if self.stock[0] is group and self.stock[1] >= 1:
            self.stock = (group, self.stock[1] - 1)
            return True
        if self._fits(group, 64) is None:
            self.add(group, 64)
            rest = self.stock[1] if self.stock[0] is group else 0
            if self.stock[0] is not group:
                self._drain()
            self.stock = (group, rest + 63)
            if self.stock[1] > 64:
                self._drain()
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

    # -- 2.1, 2.2: who is reclaimed from

    def reclaim(self, target: Group, wanted: int) -> int:
        """try_to_free_mem_cgroup_pages."""
        self.freed = 0
        self.skipped = self.low_skipped = False
        force = low_reclaim = full_walk = False
        while True:
            for priority in range(12, -1, -1):
                self.begin_pass(target, priority, force)
                self._walk(target, priority, wanted, low_reclaim, self.partial_walk and not full_walk)
                self.end_writes()
                if self.freed >= wanted:
                    break
            self.end_reclaim(target)
            if self.freed:
                return self.freed
            if self.partial_walk and not full_walk:
                full_walk = True
            elif self.skipped:
                force, self.skipped = True, False
            elif self.low_skipped and not low_reclaim:
                force, low_reclaim, self.low_skipped = False, True, False
            else:
                return 0

    def _walk(self, target: Group, priority: int, wanted: int, low_reclaim: bool, partial: bool) -> None:
        if not partial:
            for each in target.down():
                self._one(target, each, priority, wanted, low_reclaim)
            return
        group: Group | None = self._next(target) or self._next(target)
        while group is not None:
            self._one(target, group, priority, wanted, low_reclaim)
            if self.freed >= wanted:
                return
            group = self._next(target)

    def _next(self, target: Group) -> Group | None:
        """The shared walk's next cgroup; None once at the end of each round."""
        order = target.down()
        at = order.index(target.position) + 1 if target.position is not None else 0
        target.position = order[at] if at < len(order) else None
        return target.position

    def _one(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> None:
        self._protect(target, group)
        if group is not target and group.effective_low and group.effective_low >= group.usage:
            if not low_reclaim:
                self.low_skipped = True
                return
            for each in group.up():
                each.counts["low"] += 1
        self.shrink(target, group, priority, wanted, low_reclaim)

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

    def shielded(self, target: Group, group: Group, size: int, low_reclaim: bool) -> int:
        """What of a list memory.low leaves to be looked at (2.4)."""
        if group is target or not group.effective_low:
            return size
        shield = 0
        if not low_reclaim:
            shield, self.low_skipped = group.effective_low, True
        return max(size - size * shield // (max(group.usage, shield) + 1), 32)

    # -- 7: swap

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
        if page.slot and self.swap_full(page.owner):
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

    # -- what tasks do

    def read(self, group: Group, key: Key) -> bool:
        """Read one page of a file; False: the reader is killed."""
        page = self.pages.get(key)
        if page is None:
            if not self.charge(group):
                return False
            page = Page(key, group, anon=False)
            group.counts["read"] += 1
            self.arrive(page, False)
        self.accessed(page)
        return True

    def touch(self, group: Group, key: Key, write: bool) -> bool:
        """Touch one anonymous page; False: the process is killed."""
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
        fresh, page.mapped, page.young = not page.mapped, True, True
        if page.slot and not page.writing and (write or (fresh and self.swap_full(page.owner))):
            self.leave_swap(page)
        return True
