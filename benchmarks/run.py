"""Every benchmark, one after the other, in one table.

    make bench                                         all that can run here
    python benchmarks/run.py [--only NAME] [--json]

A benchmark is a `benchmarks/NAME/run.py`; with `--json` it prints {"where": ..., "rows": [...]}, and a row is
{"name", "unit", "median", "low", "high", "goal", "note"}: the quartiles in low and high, `goal` what the
median should not exceed (null: none was set), or should reach where "least" is true. One that cannot run
here (no QEMU, no compiler) says why on its last line of stderr and ends with status 69. A missed goal is
shown, not punished; this program ends with 1 when a benchmark broke.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

VARIANTS = {"agent": ((), ("--vm", "6.12")), "observe": ((), ("--vm", "6.12"))}
"""Arguments of each run of a benchmark that is run more than once."""


def runs(only: str | None) -> list[tuple[str, tuple[str, ...]]]:
    """Name every run there is: the benchmark and its arguments."""
    names = sorted(path.parent.name for path in HERE.glob("*/run.py"))
    return [(name, args) for name in names if only in (None, name) for args in VARIANTS.get(name, ((),))]


def measure(name: str, args: tuple[str, ...]) -> dict[str, Any]:
    """Run one benchmark; a report without rows has the reason in `error`, and tells if it is `broken`."""
    source = HERE.parent / "src"
    environment = os.environ | {"PYTHONPATH": f"{source}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")}
    argv = [sys.executable, str(HERE / name / "run.py"), *args, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == 0:
        return {"benchmark": name, **json.loads(done.stdout)}
    lines = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
    return {
        "benchmark": name,
        "where": " ".join(args) or "this machine",
        "rows": [],
        "error": lines[-1],
        "broken": done.returncode != UNAVAILABLE,
    }


def missed(row: dict[str, Any]) -> bool:
    if row["goal"] is None:
        return False
    return bool(row["median"] < row["goal"] if row.get("least") else row["median"] > row["goal"])


def table(reports: list[dict[str, Any]]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("benchmark", "what", "median", "quartiles", "goal", "", "note"):
        shown.add_column(heading, justify="right" if heading in ("median", "goal") else "left")
    for report in reports:
        place = f"{report['benchmark']}, {report['where']}"
        for row in report["rows"]:
            verdict = "" if row["goal"] is None else "missed" if missed(row) else "held"
            shown.add_row(
                place,
                row["name"],
                f"{figure(row['median'])} {row['unit']}",
                f"{figure(row['low'])} to {figure(row['high'])}",
                "" if row["goal"] is None else f"{'≥' if row.get('least') else '≤'} {figure(row['goal'])}",
                verdict,
                row["note"],
            )
            place = ""
        if "error" in report:
            shown.add_row(place, "broken" if report["broken"] else "not run", "", "", "", "", report["error"])
    return shown


def figure(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def machine() -> str:
    """Say what the figures were taken on."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return (
        f"{os.cpu_count()} CPUs ({model}), Linux {platform.release()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME", help="one benchmark")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = runs(options.only)
    if not found:
        parser.error(f"no benchmark {options.only}")
    reports = []
    for name, args in found:
        print(f"{' '.join((name, *args))} ...", file=sys.stderr, flush=True)
        reports.append(measure(name, args))
    if options.json:
        print(json.dumps({"machine": machine(), "reports": reports}, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(table(reports))
        print(machine())
    return int(any(report.get("broken") for report in reports))


if __name__ == "__main__":
    sys.exit(main())
