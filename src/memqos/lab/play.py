"""Inside the guest: play every variant of an experiment and record what the node showed.

`python -m memqos.lab.play PLAYS.json`. Each variant leaves `record-NAME.json` in `$MEMQOS_OUT`.
Between variants the pods end, their cgroups go and the page cache is dropped.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import msgspec

from memqos.lab import guest
from memqos.lab.experiment import WORKLOADS, Play
from memqos.lab.guest_world import GuestWorld, drop_caches
from memqos.lab.images import WORKLOAD, Pinned, files_of, rehearsal
from memqos.lab.manifests import commands_of
from memqos.lab.player import Player
from memqos.lab.recording import encode
from memqos.linux.runner.command import default_environment
from memqos.workload.parse import workload_document


def pin_images(plays: Sequence[Play]) -> Pinned:
    """Keep what the plays' programs read of their own files in memory, and this process."""
    workload = Path("/run/memqos-rehearsal.yaml")
    workload.write_text(WORKLOAD.replace("FILE", "/run/memqos-rehearsal"))
    environment = {**default_environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    commands = {rehearsal(argv, str(workload)) for each in plays for argv in commands_of(each)}
    pinned = Pinned()
    for argv in sorted(commands):
        pinned.pin(files_of(argv, environment))
    return pinned


def make_file(path: Path, size: int) -> None:
    """Fill a file with bytes that are not zero and differ from page to page."""
    if path.exists() and path.stat().st_size == size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    block = bytearray(b"\xa5" * (1 << 20))
    with path.open("wb", buffering=0) as handle:
        for start in range(0, size, len(block)):
            for page in range(0, len(block), 4096):
                block[page : page + 8] = (start + page + 1).to_bytes(8, "little")
            handle.write(block[: min(len(block), size - start)])
        os.fsync(handle.fileno())


def remove_written(disk: Path, keep: Collection[str]) -> None:
    """Remove what an earlier variant wrote to the data disk.

    An inode's writeback belongs to the cgroup that wrote it first (fs/fs-writeback.c): on 6.1 a writer of the
    same file in the next variant was held at 0.4 MiB/s, its pages booked to a cgroup that is gone.
    """
    kept = {disk / name for name in keep} | {disk / guest.SWAP_FILE}
    for path in disk.rglob("*") if disk.exists() else ():
        if path.is_file() and path not in kept:
            path.unlink()


def main(argv: list[str]) -> None:
    """Play all variants of the file named first."""
    plays = msgspec.json.decode(Path(argv[0]).read_bytes(), type=list[Play])
    out = Path(os.environ["MEMQOS_OUT"])

    def say(text: str) -> None:
        print(text, flush=True)

    pinned = pin_images(plays)
    say(f"{pinned.pages} pages of the programs' files are in memory")
    for play in plays:
        if (out / play.record_name).exists():
            continue  # played in a machine that was lost later
        remove_written(guest.DATA, keep=play.files)
        for name, size in play.files.items():
            say(f"{play.name}: make {name}")
            make_file(guest.DATA / name, size)
        write_workloads(play)
        drop_caches()
        status = in_a_process_of_its_own(partial(record, play, out, pinned, say))
        if status:
            sys.exit(1)  # its pods may still be there; what was played before is recorded


def record(play: Play, out: Path, pinned: Pinned, say: Callable[[str], None]) -> None:
    """Play one variant and write down what came of it, whole or not at all."""
    pinned.lock()
    scratch = Path("/run/memqos-play", Path(play.record_name).stem)
    scratch.mkdir(parents=True)
    recording = Player(play, GuestWorld(play, scratch), say).run()
    unfinished = out / f"{play.record_name}.part"
    unfinished.write_bytes(encode(recording))
    unfinished.rename(out / play.record_name)


def in_a_process_of_its_own(work: Callable[[], None]) -> int:
    """Do it in a child, so that no variant pays for the memory of those before it; return its exit status."""
    gc.collect()
    gc.freeze()  # what the child only reads stays the parent's, its collector would write to it
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - told here, and by the status
            traceback.print_exc(file=sys.stdout)
        finally:
            sys.stdout.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def write_workloads(play: Play) -> None:
    """Write the variant's own workloads where its pods look for them (a JSON document is YAML too)."""
    Path(WORKLOADS).mkdir(exist_ok=True)
    for name, body in play.workloads.items():
        Path(WORKLOADS, name).write_bytes(msgspec.json.encode(workload_document(body)))


if __name__ == "__main__":
    main(sys.argv[1:])
