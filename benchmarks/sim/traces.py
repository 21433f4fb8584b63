"""The traces: 20 Mi page numbers in int32 arrays, drawn by a seed.

`scan` reads 1 Mi pages in order, again and again, 256 Ki fit; `zipf` (exponent 1, numbers permuted) and
`uniform` read 1 Mi pages, 100,000 fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PAGES = 1 << 20
COUNT = 20 << 20


def zipf(pages: int, count: int, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    weight = np.cumsum(1.0 / np.arange(1, pages + 1))
    ranks = np.searchsorted(weight, rng.random(count) * weight[-1])
    return rng.permutation(pages)[ranks].astype(np.int32)


def uniform(pages: int, count: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, pages, count).astype(np.int32)


def traces() -> dict[str, tuple[Any, int]]:
    """Each trace, and how many pages fit."""
    return {
        "scan": (np.tile(np.arange(PAGES, dtype=np.int32), COUNT // PAGES), 1 << 18),
        "zipf": (zipf(PAGES, COUNT), 100_000),
        "uniform": (uniform(PAGES, COUNT), 100_000),
    }
