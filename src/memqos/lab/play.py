"""Inside the guest: play every variant of an experiment and record what the node showed.

`python -m memqos.lab.play PLAYS.json`; pods run by the pod runner under a kubelet's rules, managed by
the agent where the variant has a policy. Each variant leaves `record-NAME.json` in `$MEMQOS_OUT`.
Between variants the pods end, their cgroups go and the page cache is dropped.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from memqos.errors import LabError
from memqos.kubelet.allocatable import NodeCapacity
from memqos.lab import guest
from memqos.lab.experiment import Exec, Play, Sample, Step, Wait
from memqos.lab.manage import Manager, kubelet_of, manager_of
from memqos.lab.manifests import manifests_of
from memqos.lab.recording import Executed, Happened, Look, PodLook, Recording, Written, encode
from memqos.linux.node import LinuxNode
from memqos.linux.runner import PodRunner
from memqos.linux.runner.command import command_of, default_environment
from memqos.linux.runner.spawn import Launch, spawn
from memqos.model.pods import Pod
from memqos.runner.rules import KubeletRules
from memqos.runner.world import NotStarted

_NAP = 0.25
"""Seconds between looks at what is waited for."""

_TAIL = 4000
"""Characters kept of what a program printed."""


class Player:
    """Plays one variant."""

    def __init__(self, play: Play, scratch: Path, say: Callable[[str], None]) -> None:
        self._play = play
        self._scratch = scratch
        self._say = say
        self._node = LinuxNode()
        facts = self._node.observe().node.meminfo
        capacity = NodeCapacity(memory=facts["MemTotal"], swap=facts.get("SwapTotal", 0))
        config = kubelet_of(play.kubelet)
        self._environment = {**default_environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        self._runner = PodRunner(
            KubeletRules(config, capacity), scratch / "logs", environment=self._environment
        )
        self._pods: dict[str, Pod] = {pod.name: pod for pod in manifests_of(play).pods}
        self._manager: Manager | None = manager_of(play.policy, self._node, lambda: self._runner.placed)
        self._kernel_log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._kernel_log, 0, os.SEEK_END)
        self._began = self._next_sample = time.monotonic()
        self._record = Recording(variant=play.name, release=os.uname().release, devices=devices())

    def run(self) -> Recording:
        """Play the timeline to its end and return the recording."""
        for step in self._play.timeline:
            if step.at is not None:
                self._pass(step.at - self._seconds)
            self._say(f"{self._play.name}: {_words(step)}")
            self._note(step.action, "timeline", _words(step))
            getattr(self, f"_{step.action}")(getattr(step, step.action))
        if self._play.every > 0:
            self._look_at_all()
        self._record.logs.update(self._logs())
        self._runner.stop(grace=1)
        self._node.close()
        self._record.kernel_log.extend(self._killed())
        return msgspec.structs.replace(self._record, seconds=self._seconds)

    def _start(self, name: str) -> None:
        pod = self._pods[name]
        placed = self._runner.create(pod)
        assert placed.cgroup is not None
        self._record.cgroups[name] = placed.cgroup
        self._record.cgroups.update({f"{name}/{each}": path for each, path in placed.containers.items()})
        self._manage()
        self._runner.start(pod.uid)
        self._pass(0)

    def _stop(self, name: str) -> None:
        pod = self._pods[name]
        self._runner.evict(pod.uid, "Stopped", grace=1)
        self._until(lambda: all(each.pod.uid != pod.uid for each in self._runner.placed), 30, f"{name} to go")

    def _mark(self, name: str) -> None:
        self._record.marks[name] = self._look()

    def _sleep(self, seconds: float) -> None:
        self._pass(seconds)

    def _sample(self, sample: Sample) -> None:
        for _ in range(sample.count):
            self._pass(sample.every)
            self._record.samples.append(self._look())

    def _exec(self, step: Exec) -> None:
        pod = self._pods[step.pod]
        container = next(c for c in pod.all_containers if step.container in ("", c.name))
        name = step.name or f"exec{len(self._record.execs) + 1}"
        wanted = _with_command(pod, container.name, step.command)
        command = command_of(wanted, wanted.containers[0], self._environment)
        if isinstance(command, NotStarted):
            raise LabError(f"{step.pod}: {command.message}")
        log = self._scratch / f"{name}.log"
        directory = guest.CGROUP / self._record.cgroups[f"{step.pod}/{container.name}"]
        used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        process = spawn(Launch(command, directory, 0, log))
        if isinstance(process, NotStarted):
            raise LabError(f"{step.pod}: {process.message}")
        status: list[int] = []

        def ended() -> bool:
            code = process.poll()
            status.extend([] if code is None else [code])
            return bool(status)

        self._until(ended, step.timeout, f"{' '.join(step.command)} in {step.pod}")
        real, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        process.close()
        self._record.execs[name] = Executed(
            started=began - self._began,
            real=real,
            user=now.ru_utime - used.ru_utime,
            sys=now.ru_stime - used.ru_stime,
            status=status[0],
            output=log.read_text(errors="replace")[-_TAIL:] if log.exists() else "",
        )

    def _wait(self, step: Wait) -> None:
        pod = self._pods[step.pod]

        def reached() -> bool:
            if step.until == "said":
                return any(
                    step.word in text for name, text in self._logs().items() if name.startswith(pod.name)
                )
            statuses = [each for each in self._runner.statuses() if each.uid == pod.uid]
            if step.until == "running":
                return bool(statuses) and all(each.state == "running" for each in statuses)
            return bool(statuses) and all(each.state == "terminated" for each in statuses)

        self._until(reached, step.timeout, f"{step.pod} to have {step.until} {step.word}")

    def _drop_caches(self, wanted: bool) -> None:
        if wanted:
            drop_caches()

    def _until(self, reached: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            if time.monotonic() > deadline:
                raise LabError(f"waited {timeout:g} s in vain for {what.strip()}")
            self._pass(_NAP, coarse=False)

    def _pass(self, seconds: float, *, coarse: bool = True) -> None:
        """Let time pass: run what is due, manage, look at the node as often as asked."""
        deadline = time.monotonic() + seconds
        while True:
            events = self._runner.poll()
            for event in events:
                self._note(event.kind, f"{event.pod}/{event.container}".rstrip("/"), event.message)
            if self._manager is not None and any(event.kind == "created" for event in events):
                self._manage()
            now = time.monotonic()
            if self._play.every > 0 and now >= self._next_sample:
                self._next_sample = now + self._play.every
                self._look_at_all()
            if now >= deadline:
                return
            due = min(deadline, self._next_sample) if self._play.every > 0 else deadline
            self._runner.wait(max(0.0, due - now) if coarse or not events else 0.0)

    def _look_at_all(self) -> None:
        self._manage()
        self._record.samples.append(self._look())

    def _manage(self) -> None:
        if self._manager is None:
            return
        for cgroup, knob, value, status, why in self._manager.turn():
            self._record.writes.append(Written(self._seconds, cgroup, knob, value, status, why))

    def _look(self) -> Look:
        seconds, snapshot = self._seconds, self._node.observe()
        return Look(seconds, snapshot, {each.pod.name: self._pod(each.pod) for each in self._runner.placed})

    def _pod(self, pod: Pod) -> PodLook:
        status = next(each for each in self._runner.pods() if each.uid == pod.uid)
        ends = [each.last for each in status.containers if each.last is not None]
        last = max(ends, key=lambda end: end.finished_us, default=None)
        return PodLook(
            phase=status.phase,
            running=sum(each.state == "running" for each in status.containers),
            restarts=sum(each.restarts for each in status.containers),
            oom_kills=sum(each.oom_kills for each in status.containers),
            exit_code=None if last is None else last.exit_code,
            reason="" if last is None else last.reason,
        )

    def _logs(self) -> dict[str, str]:
        """What the containers printed, by "pod/container", the newest run last."""
        said: dict[str, str] = {}
        for path in sorted((self._scratch / "logs").glob("*/*/*.log")):
            name = f"{path.parts[-3].split('_')[1]}/{path.parts[-2]}"
            said[name] = (said.get(name, "") + path.read_text(errors="replace"))[-_TAIL:]
        return said

    def _killed(self) -> list[str]:
        """The kernel's lines about killed processes since the variant began."""
        lines = []
        while True:
            try:
                record = os.read(self._kernel_log, 8192).decode(errors="replace")
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # lines were lost; reading goes on with the oldest one left
            text = record.partition(";")[2].splitlines()[0]
            if "out of memory" in text.lower() or "oom" in text or "Killed process" in text:
                lines.append(text)
        os.close(self._kernel_log)
        return lines

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _note(self, what: str, subject: str, text: str) -> None:
        self._record.events.append(Happened(self._seconds, what, subject, text))


def _with_command(pod: Pod, container: str, command: tuple[str, ...]) -> Pod:
    """Return the pod with one container that runs another command: what exec runs, with its env."""
    found = next(each for each in pod.all_containers if each.name == container)
    return replace(pod, containers=(replace(found, command=command, args=()),), init_containers=())


def _words(step: Step) -> str:
    value = getattr(step, step.action)
    detail = value if isinstance(value, (str, int, float)) else getattr(value, "pod", "")
    return f"{step.action.replace('_', ' ')} {detail}".strip()


def devices() -> dict[str, str]:
    """Return "major:minor" of the guest's disks, by serial."""
    return {
        serial: Path("/sys/block", name, "dev").read_text(encoding="ascii").strip()
        for serial, name in guest.disks().items()
    }


def drop_caches() -> None:
    """Write everything back, then drop the clean page cache and slab (dirty pages stay otherwise)."""
    os.sync()
    guest.write(Path("/proc/sys/vm/drop_caches"), "3")


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


def main(argv: list[str]) -> None:
    """Play all variants of the file named first."""
    plays = msgspec.json.decode(Path(argv[0]).read_bytes(), type=list[Play])
    out = Path(os.environ["MEMQOS_OUT"])

    def say(text: str) -> None:
        print(text, flush=True)

    for play in plays:
        for name, size in play.files.items():
            say(f"{play.name}: make {name}")
            make_file(guest.DATA / name, size)
        drop_caches()
        scratch = Path("/run/memqos-play", play.name)
        scratch.mkdir(parents=True)
        recording = Player(play, scratch, say).run()
        (out / f"record-{play.name}.json").write_bytes(encode(recording))


if __name__ == "__main__":
    main(sys.argv[1:])
