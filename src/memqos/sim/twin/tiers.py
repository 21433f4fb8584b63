"""A cgroup's generations, and what becomes of its pages by tier."""

from __future__ import annotations

from dataclasses import dataclass, field

from memqos.sim.twin.world import Page

MIN_GENS, MAX_GENS, TIERS, BATCH, LONGEST = 2, 4, 4, 64, 4096


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
    hot: list[bool | None] = field(default_factory=lambda: [None, None])
    """Whether a walk looks at the page table, for generations by turns; `None` where nobody has said."""
