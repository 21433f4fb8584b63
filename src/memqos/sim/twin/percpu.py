"""Free pages with the CPUs, one page after another, as `kernels.pcp` counts them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Zone:
    """A zone's free pages, and what each CPU holds of them besides. `high`: its high watermark."""

    free: int
    high: int
    batch: int
    most: int
    scales: bool
    reclaims: bool = False
    held: dict[int, int] = field(default_factory=dict)
    factor: dict[int, int] = field(default_factory=dict)

    def take(self, cpu: int) -> None:
        """A page is allocated on a CPU (rmqueue_pcplist)."""
        if self.held.get(cpu, 0) == 0:
            self.held[cpu] = self._more(cpu)
            self.free -= self.held[cpu]
        self.held[cpu] -= 1

    def _more(self, cpu: int) -> int:
        if not self.scales:
            return self.batch
        wanted = self.batch << self.factor.get(cpu, 0)
        room = self.most + (wanted if self.free > self.high else 0)
        allowed = max(room - self.batch, self.batch)
        if wanted <= allowed:
            self.factor[cpu] = min(5, self.factor.get(cpu, 0) + 1)
        return min(wanted, allowed)

    def give(self, cpu: int) -> None:
        """A page is freed on a CPU (free_unref_page_commit)."""
        self.factor[cpu] = self.factor.get(cpu, 0) // 2
        self.held[cpu] = self.held.get(cpu, 0) + 1
        if self.held[cpu] >= (min(4 * self.batch, self.most) if self.reclaims else self.most):
            self.held[cpu] -= self.batch
            self.free += self.batch
