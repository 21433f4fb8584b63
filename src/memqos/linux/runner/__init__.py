"""Pods on plain Linux, without a kubelet and without a container runtime.

The runner makes the kubepods tree as a kubelet with the cgroupfs driver would, writes the kubelet's
values at every level, starts each container's command inside its cgroup, restarts it as restartPolicy
says, counts how it ended, and takes everything away again. It is *not* a container runtime: there are no
images, no namespaces, no volumes and no probes. A container's command runs in the machine's own file
system as the runner's user; what the image would bring must be there. A container's cgroup is named
after the container (`kubepods/burstable/pod<uid>/<name>`).

Three things differ from a node with a runtime, because of that: there is no sandbox (pause) process;
what a container prints is written, and so charged, by the container itself; and the cgroup of a
container that ended for good stays until its pod leaves, so that its counters can still be read.

::

    runner = PodRunner(KubeletRules(config, capacity), logs)
    placed = runner.create(pod)      # cgroups with the kubelet's values; write your own now
    runner.start(pod.uid)
    while ...:
        for event in runner.poll(): ...
        runner.wait(1.0)
    runner.stop(grace=2)
"""

from __future__ import annotations

from memqos.linux.runner.pods import PodRunner
from memqos.runner.rules import KubeletRules, Rules
from memqos.runner.status import ContainerEvent, ContainerStatus, PodStatus, Termination

__all__ = [
    "ContainerEvent",
    "ContainerStatus",
    "KubeletRules",
    "PodRunner",
    "PodStatus",
    "Rules",
    "Termination",
]
