"""Watermarks of a node, and what its CPUs hold of its free pages (mm/page_alloc.c)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from memqos.sim.kernels import zones
from memqos.sim.profiles import Profile
from memqos.sim.spec import NodeSpec
from memqos.units import MIB

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Marks:
    """Pages: what is held back in the zone DMA, the marks of the zone above, and a CPU's part of it."""

    held: int
    """Pages of the zone DMA that programs never get; a node of less than 128 MiB is one zone here."""
    least: int
    low: int
    high: int
    batch: int
    """What a CPU takes at a time (zone_batchsize)."""
    most: int
    """What its cache may hold (zone_highsize, pcp->high_min): the low mark, shared by the CPUs."""

    def loose(self, profile: Profile) -> int:
        """Pages with the CPUs of a full node, as a rule.

        Half of what who takes takes at a time, and half of the four batches that may stay where kswapd frees.
        """
        taken = self.most - self.batch if profile.pcp_scales else self.batch
        return taken // 2 + 2 * self.batch


def marks_of(spec: NodeSpec) -> Marks:
    """init_per_zone_wmark_min, __setup_per_zone_wmarks: the zone above DMA has the part of its size.

    Guests of 464 MiB had 658 to 663, 822 to 828 and 986 to 993 (/proc/zoneinfo); here 667, 833 and 999, as
    the pages of the initramfs were not free yet when the kernel reckoned.
    """
    total = spec.memory // _PAGE
    kib = min(max(math.isqrt(16 * (spec.memory >> 10)), 128), 262144)
    if spec.thp:
        kib = min(max(kib, 4 * (512 * 2 + 512 * 9)), (spec.memory >> 10) // 20)
    held = 0
    if total >= 128 * MIB // _PAGE:
        held = min(zones.MANAGED - zones.KERNEL, (total - zones.MANAGED) // zones.RATIO)
    upper = total - zones.MANAGED if held else total
    least = kib // 4 * upper // total
    distance = max(least // 4, upper * 10 // 10000)
    part = max(1, min(upper >> 10, 256) // 4)
    batch = max(1, (1 << (part + part // 2).bit_length() - 1) - 1)
    low = least + distance
    return Marks(held, least, low, low + distance, batch, max(low // spec.cpus, 4 * batch))
