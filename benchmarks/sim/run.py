"""The simulated kernel's speed, memory and start, each against its goal.

    python benchmarks/sim/run.py [--rounds N] [--only beside|large|growth|programs|memory|start] [--json]

Ratios are within one run, the contenders taking turns, of the process' CPU time: median and quartiles of the
rounds. README.md says what each side does.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any

import contenders
import cost
import speed

PARTS = ("beside", "large", "growth", "programs", "memory", "start")


def measured(part: str, rounds: int, folder: Path) -> list[dict[str, Any]]:
    if part == "beside":
        lib = contenders.libcachesim(folder / "lib")
        if lib is None:
            print("no libcachesim here and none to be fetched: its rows are left out", file=sys.stderr)
        return speed.beside_others(folder, lib, rounds)
    if part == "memory":
        return cost.memory()
    if part == "start":
        return cost.start(rounds, folder)
    found: list[dict[str, Any]] = getattr(speed, part)(rounds)
    return found


def versions() -> str:
    parts = [f"Python {platform.python_version()}"]
    for name in ("numba", "numpy", "libcachesim"):
        try:
            parts.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(parts)


def verdict(row: dict[str, Any]) -> str:
    if row["goal"] is None:
        return ""
    met = row["median"] >= row["goal"] if row.get("least") else row["median"] <= row["goal"]
    return "met" if met else "MISS"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    speed.warm_up()
    rows: list[dict[str, Any]] = []
    with contenders.tempdir() as name:
        for part in options.only or PARTS:
            print(f"{part} ...", file=sys.stderr, flush=True)
            rows += measured(part, options.rounds, Path(name))
    where = f"this machine, {versions()}"
    if options.json:
        print(json.dumps({"where": where, "rows": rows}))
        return
    for row in rows:
        goal = "" if row["goal"] is None else f"{'>=' if row.get('least') else '<='} {row['goal']:g}"
        figures = f"{row['median']:8.2f} {row['unit']:4}{row['low']:8.2f} to {row['high']:8.2f}"
        print(f"{row['name']:46} {figures}  {goal:8} {verdict(row):5} {row['note']}")
    print(where)


if __name__ == "__main__":
    main()
