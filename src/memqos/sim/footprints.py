"""Which pages of its own an interpreter needs, and when.

Measured with CPython 3.11 as it runs in guests: all its private memory was taken away from it (mprotect)
as it began a thousand pages of a phase, at its end, before it slept and after, and each page it then touched
was given back and noted. Two runs with the same hash seed differ by a page or two, with another one in the
places of some objects. Its mappings come one after another here, each with its pages in the order of their
addresses: those of a few pages, its stack, what libpython holds, the arenas of its objects, and its heap. So
little of a mapping is needed that most pages which swap reads ahead are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from memqos.workload.spec import Phase, ReadFile, Requests, Touch, WriteFile

Places: TypeAlias = tuple[int, ...]


def places(text: str) -> Places:
    """Read a list such as `7 9-10 13`."""
    found: list[int] = []
    for word in text.split():
        first, _, last = word.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


READS, WRITES, DRAWS, DRAWS_TO_WRITE = range(4)
"""Sorts of loop: over a run of pages, to read or to write them, and page by page, each drawn."""


def sort_of(phase: Phase) -> int:
    """The sort of loop a phase is."""
    if isinstance(phase, WriteFile):
        return WRITES
    if isinstance(phase, Touch | ReadFile | Requests):
        drawn = phase.order.kind != "sequential"
        return 2 * drawn + (not isinstance(phase, ReadFile) and phase.write)
    return READS


KEPT = 8
"""Addresses that an emulated processor still knows when others have taken their places in its TLB (QEMU,
include/exec/cpu-defs.h, CPU_VTLB_SIZE), as whatever comes in the order of addresses does. Real ones know some
1,500, by the time of their last use; recordings are of emulated ones."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The places of pages needed `always` in a loop, in each sort of loop besides, and `between` two phases.

    `begin`: as it comes to a loop of a sort; `first`: when it is the first one of its sort; `said`: after its
    first loop; `holding`: as it goes to sleep for good. Of the pages of a table that draws by a power law it
    needs the first `of_table`. It handles `burst` pages of what it is asked to hold between two looks at what
    its loop needs. `fixed` and `arenas` are its mappings' pages, but for those of the heap, which
    comes last.
    """

    always: Places = ()
    loops: tuple[Places, Places, Places, Places] = ((), (), (), ())
    between: Places = ()
    begin: tuple[Places, Places, Places, Places] = ((), (), (), ())
    first: tuple[Places, Places, Places, Places] = ((), (), (), ())
    said: Places = ()
    holding: Places = ()
    of_table: int = 0
    burst: int = 64
    fixed: Places = ()
    arenas: Places = ()

    @property
    def keeps(self) -> bool:
        """Whether a processor still knows where its loop's pages are when they are needed again."""
        return self.burst <= KEPT

    def loop(self, phase: Phase) -> Places:
        """What it needs all the time in this phase."""
        return self.always + self.loops[sort_of(phase)]

    def mappings(self, pages: int) -> Places:
        """The pages of each of its mappings, when it has so many in all."""
        parts = self.fixed + self.arenas
        return (*parts, pages - sum(parts))

    def made(self, pages: int) -> Places:
        """The places of its pages in the order it makes them: objects and heap grow at the same time."""
        return tuple(self._made(pages))

    def _made(self, pages: int) -> Iterator[int]:
        fixed, arenas = sum(self.fixed), sum(self.arenas)
        heap = pages - fixed - arenas
        yield from range(fixed)
        done = 0
        for page in range(arenas):
            yield fixed + page
            due = (page + 1) * heap // arenas
            yield from range(fixed + arenas + done, fixed + arenas + due)
            done = due
        yield from range(fixed + arenas + done, pages)


NONE = Footprint()

HOLDING = Footprint(
    places(
        "26-27 41 43-44 52 56 61 66 308-310 322 349 352 355 370 402 417 422 426 488 502 505 508 599 728 "
        "732 897-898"
    ),
    between=places(
        "4 13 18 21 24-25 40 42 46 49 62-65 68 71-73 83-86 90 151 236 289 302 313 317-318 323 326 340 345 "
        "348 424 493-494 496-498 501 538 558 560 568 589 613 624 631 633 640 646 652 654 659 663 668-669 "
        "690-691 726-727 730-731 742 756 780-781 794 831"
    ),
    said=places("1-2 5-7 23 75 215 315-316 509 655 664 782-783 801 803 805-806 808 810 812"),
    holding=places("1-2 5-7 23 59 75 314 391 565-566"),
    burst=1,
    fixed=(1, 2, 2, 1, 2, 2, 4, 1, 1, 2, 5, 3, 1, 1, 14, 308, 21),
    arenas=(371,),
)
"""`memqos.lab.load`: it writes a byte to each page in a loop, says so, and sleeps."""

POOL = tuple(range(3093, 3156))
"""The pages that `memqos.linux.workload.content` writes from."""

_BEGIN = places(
    "117 316 361 378-379 385 388-389 396-397 401 597 1279 1434 1487 1580 1642 1661 1712 1839 1876 "
    "1888-1890 1931 2105 2108 2874 2883 2899"
)

_FIRST = places("228 234 256 607 1233 1463 2104 2112 2898")

WORKING = Footprint(
    places(
        "8 13 20 23 94-98 100-101 114-115 118-120 122 125-127 185 201 224 317 362 376-377 381 390-392 394 "
        "402-403 406 409 424 655 677 682 684-685 820 827 883 1299 1344 1383 1441 1629-1630 1640-1641 "
        "1825-1826 1926-1927 1948 1975 1978 2047-2049 2079 2092-2093 2102 2136 2142-2143 2148 2151 "
        "2156-2157 2275 2892 2974 2980-2981 2986-2987 3021 3023-3024 3026 3156"
    ),
    (
        places(
            "9 21 112 121 270 368 818 1846 1929-1930 1977 2019 2063 2075 2106 2109 2112 2123 2147 2150 "
            "3027-3029 3092"
        ),
        places(
            "40-41 112 121 363-364 373 748 1799 1848 1929-1930 1977 1991-1992 2017 2019 2063 2068 "
            "2071-2075 2082 2090 2094-2095 2100 2103 2123 2130 2134-2135 2141 2144 2146-2147 2150 "
            "2153-2154 2261 2918 2953 2997 3020 3092"
        )
        + POOL,
        places(
            "9 21 24-25 106 116 363-364 367-369 371 398 746 760 981 1519-1520 1706 1753 1768 1833 1848 "
            "1886 1913 1915-1918 1921 1935 1991-1992 1996 2004-2005 2019 2022 2051 2072-2074 2086 2100 "
            "2135 2149 2152-2154 2261 2263 2897 2994-2995 3027-3028"
        ),
        places(
            "9 21 24-25 40-41 116 121 363-364 367-369 372-373 384 746 748 760 818 981 1768 1799 1833 1848 "
            "1886 1913 1915-1918 1921 1935 1991-1992 2005 2007 2017 2022 2051 2072-2073 2075 2082 2086 "
            "2094-2095 2100 2103 2123 2130 2134-2135 2141 2146-2147 2149-2150 2152-2154 2261 2263 2897 "
            "2918 2994-2995 2997 3020 3027-3028 3092"
        )
        + POOL[:1],
    ),
    between=places(
        "4 9 18 21 24-25 40-41 69 71-74 76-77 86-88 91 103 106 112-113 116 121 124 129 133 145 363-364 "
        "367-369 371-373 380 382-384 395 465 653 686 696 698 747-748 760 783 802 818 843 850 884 923 929 "
        "980 1057 1343 1404 1459-1460 1464 1468 1491 1521 1527 1540-1541 1566 1583 1627 1643 1665-1666 "
        "1698 1703-1704 1706 1709 1753 1768 1785-1786 1795 1799 1803 1828 1847-1848 1877-1878 1880 1887 "
        "1899 1906 1911-1918 1920 1922-1925 1929-1930 1932 1934 1943-1945 1947 1949 1954 1959 1967 1969 "
        "1971 1977 1991-1993 1996 2017 2019 2028 2040-2041 2050 2060 2063 2068 2072-2075 2077-2078 2082 "
        "2086 2094-2095 2100 2103 2123 2130 2132-2135 2141 2146-2147 2149-2150 2152-2154 2261 2263 "
        "2366-2367 2394 2872-2873 2879 2881 2884 2886 2893-2896 2903-2904 2906 2914-2915 2918 2975 2982 "
        "2997 3020 3027-3028 3092"
    ),
    begin=(
        _BEGIN + places("242 398 467 687 701 1031 1833 1886 1898 1921 1935 2071 2104 2266 2897"),
        _BEGIN + places("242 398 1833 1886 1898 1921 1935 2897"),
        _BEGIN + places("46-47 331 1308 1322 1335 1694 2071 2614"),
        _BEGIN + places("46-47 331 398 701 1308 1322 1335 1519-1520 1694 2071 2104 2614"),
    ),
    first=(
        (),
        places(
            "228 234 256 351 386 393 452 467 524 606-607 644 749 828 847 892 928 1520 1788 1821 1866 "
            "2029-2030 2067 2076 2104 2112 2898"
        ),
        _FIRST,
        _FIRST,
    ),
    said=places("228 234 256 276 336 351 370 386 399 607 1300 1465 1489 1659 1821 1866 1952"),
    of_table=35,
    fixed=(
        *(1, 2, 2, 1, 2, 2, 4, 1, 1, 2, 5, 3, *(1,) * 22, 3, *(1,) * 7, 2, 2, 1, 3, *(1,) * 7, 4, *(1,) * 4),
        *(15, 308, 21),
    ),
    arenas=(514, 252, 252, 252, 248, 215, 103),
)
"""`memqos workload`, where numpy could not be loaded."""
