"""What the twins' worlds are made of: pages, what evicted ones leave, cgroups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

BIG = 1 << 60
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
    isolated: bool = False


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
    ran: bool = False
    """Its process was switched to since its page tables were last walked."""
    position: Group | None = None
    """Where the reclaim of this subtree stands (mem_cgroup_iter with a shared position)."""

    def up(self) -> list[Group]:
        """This cgroup and its ancestors."""
        return [self, *(self.parent.up() if self.parent else [])]

    def down(self) -> list[Group]:
        """The subtree in pre-order."""
        return [self, *(each for child in self.children for each in child.down())]
