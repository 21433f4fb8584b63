"""A program that holds memory: `python3 -m memqos.lab.load mib=400 passes=0`.

After `delay` seconds grows an anonymous mapping to `mib` MiB, `step` MiB (default all at once) every
`every` seconds, each page filled with bytes that differ from page to page (a kernel stores no zero-filled
page); says `held N MiB` at each step; then writes to every page again, `passes` times (0: for ever),
pausing `pause` seconds between passes; then idles. It imports nothing, so that what it holds is what it
was told to hold.
"""

import mmap
import sys
import time

_PAGE = 4096
_MIB = 1 << 20


def main(argv: list[str]) -> None:
    """Run as told; an unknown word or a value that is no number ends it with status 2."""
    settings = {"mib": 64.0, "step": 0.0, "every": 0.0, "passes": -1.0, "pause": 0.0, "delay": 0.0}
    for word in argv:
        name, _, value = word.partition("=")
        try:
            settings[name] = settings[name] * 0 + float(value)
        except (KeyError, ValueError):
            print(f"{word!r}: write {', '.join(settings)} = a number", file=sys.stderr)
            raise SystemExit(2) from None
    time.sleep(settings["delay"])
    size = int(settings["mib"])
    step = int(settings["step"]) or size
    held = mmap.mmap(-1, size * _MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start in range(0, size, step):
        end = min(size, start + step)
        touch(held, start * _MIB, end * _MIB, 1)
        print(f"held {end} MiB", flush=True)
        time.sleep(settings["every"])
    turn = 2
    while settings["passes"] == 0 or turn - 2 < settings["passes"]:
        touch(held, 0, size * _MIB, turn)
        print(f"pass {turn - 1}", flush=True)
        time.sleep(settings["pause"])
        turn += 1
    while True:
        time.sleep(3600)


def touch(held: mmap.mmap, start: int, end: int, turn: int) -> None:
    """Write a stamp that is never zero to every page."""
    for page in range(start, end, _PAGE):
        held[page] = 1 + (page // _PAGE + turn) % 251


if __name__ == "__main__":
    main(sys.argv[1:])
