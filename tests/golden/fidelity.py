"""Keep of real recordings what `memqos lab compare` reads, for tests/sim/test_fidelity.py.

`python tests/golden/fidelity.py DIR EXPERIMENT...`: DIR is what `memqos lab run --out DIR` left. Writes
`tests/golden/fidelity/EXPERIMENT/KERNEL/out/record-VARIANT.json`: the same layout, so that
`memqos lab compare --recorded tests/golden/fidelity` shows the same table.
"""

import sys
from pathlib import Path

from msgspec.structs import replace

from memqos.lab.recording import Look, Recording, decode, encode
from memqos.model.snapshot import Counters

HERE = Path(__file__).resolve().parent / "fidelity"
NODE = ("pswpin", "pswpout", "oom_kill")


def trimmed(recording: Recording) -> Recording:
    """The marks, the first and the last look; of each the pods' own cgroups and the node's few counters."""
    pods = {name: path for name, path in recording.cgroups.items() if "/" not in name}

    def look(whole: Look) -> Look:
        known = whole.snapshot.cgroups
        vmstat = {key: whole.snapshot.node.vmstat[key] for key in NODE}
        facts = replace(
            whole.snapshot.node,
            meminfo=Counters.of({}),
            vmstat=Counters.of(vmstat),
            swaps=(),
            disks={},
            zones=(),
        )
        kept = {path: known[path] for path in pods.values() if path in known}
        return replace(
            whole, snapshot=replace(whole.snapshot, node=facts, cgroups=kept, features=frozenset())
        )

    return Recording(
        variant=recording.variant,
        release=recording.release,
        devices=recording.devices,
        cgroups=pods,
        marks={name: look(each) for name, each in recording.marks.items()},
        samples=[look(recording.samples[index]) for index in (0, -1)] if recording.samples else [],
        seconds=recording.seconds,
    )


def main(directory: Path, experiments: list[str]) -> None:
    """Write the trimmed recordings of all kernels."""
    for path in sorted(directory.glob("*/*/out/record-*.json")):
        experiment, kernel = path.parts[-4:-2]
        if experiment in experiments:
            target = HERE / experiment / kernel / "out" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(encode(trimmed(decode(path.read_bytes(), source=str(path)))) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
