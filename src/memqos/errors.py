"""Every error memqos raises on purpose, in one tree.

::

    MemqosError
    ├── InputError            what a person wrote is wrong: names file, field, problem and remedy
    │   ├── QuantityError     a Kubernetes quantity or an annotation's value
    │   ├── ManifestError     a pod manifest, a PriorityClass, a kubelet's pod list
    │   ├── PolicyError       the admin's MemoryPolicy
    │   ├── ExperimentError   an experiment, scenario or workload file
    │   └── RecordingError    recordings of experiments that were named and cannot be used
    ├── NodeError             the kernel did not do one thing: names cgroup and knob
    │   ├── CgroupGone        the cgroup vanished (ENOENT, ENODEV), or was reborn under its name
    │   ├── KnobMissing       this kernel, or this cgroup, has no such file
    │   ├── Refused           no permission (EACCES, EPERM, EROFS)
    │   ├── Busy              the kernel would not now; the next tick may succeed (EBUSY, EAGAIN, EINTR)
    │   ├── InvalidValue      the kernel does not take this value (EINVAL, ERANGE, EOPNOTSUPP)
    │   └── Unreadable        a control file's text is not of its documented form
    ├── Unsupported           this machine cannot do the job (cgroup v1, ...): names the remedy
    ├── AgentError            the agent cannot go on
    │   └── LockHeld          another agent manages this node
    └── LabError              the laboratory cannot run an experiment
        ├── ToolMissing       QEMU, a kernel package, ...: names the line that installs it
        └── VmLost            the virtual machine died; says nothing about what ran in it

`OSError` is translated into `NodeError` in one place, `memqos.linux.oserror`. The agent's
loop survives any one `NodeError`.
"""

from __future__ import annotations


class MemqosError(Exception):
    """The root of the tree."""


class InputError(MemqosError):
    """What a person wrote is wrong.

    The text is `source: field: problem; remedy`, leaving out what is not known.
    """

    def __init__(self, problem: str, *, source: str = "", field: str = "", remedy: str = "") -> None:
        self.problem = problem
        self.source = source
        self.field = field
        self.remedy = remedy
        super().__init__(problem)

    def __str__(self) -> str:
        where = "".join(f"{part}: " for part in (self.source, self.field) if part)
        return where + self.problem + (f"; {self.remedy}" if self.remedy else "")

    def at(self, *, source: str = "", field: str = "") -> InputError:
        """Return the same error, placed in an outer file or field (`field` is put in front)."""
        joined = ".".join(part for part in (field, self.field) if part).replace(".[", "[")
        return type(self)(self.problem, source=source or self.source, field=joined, remedy=self.remedy)


class QuantityError(InputError):
    """A Kubernetes quantity or an annotation's value that cannot be read."""


class ManifestError(InputError):
    """A pod manifest, a PriorityClass or a kubelet's pod list that cannot be used."""


class PolicyError(InputError):
    """An admin's MemoryPolicy that cannot be used."""


class ExperimentError(InputError):
    """An experiment, scenario or workload file that cannot be used."""


class RecordingError(InputError):
    """Recordings of experiments, a directory or an archive of them, that cannot be used."""


class NodeError(MemqosError):
    """The kernel did not do one thing.

    `cgroup` is the path below the cgroup root ("" is the root), `knob` the file's name.
    """

    def __init__(self, reason: str, *, cgroup: str = "", knob: str = "") -> None:
        self.reason = reason
        self.cgroup = cgroup
        self.knob = knob
        super().__init__(reason)

    def __str__(self) -> str:
        place = f"{self.cgroup or '/'}: {self.knob}" if self.knob else (self.cgroup or "/")
        return f"{place}: {self.reason}"


class CgroupGone(NodeError):
    """The cgroup vanished, or another one was born under its name."""


class KnobMissing(NodeError):
    """This kernel, or this cgroup, has no such file."""


class Refused(NodeError):
    """The kernel refused for want of permission."""


class Busy(NodeError):
    """The kernel would not do it now; a later try may succeed."""


class InvalidValue(NodeError):
    """The kernel does not take this value."""


class Unreadable(NodeError):
    """A control file's text is not of its documented form; no value is guessed from it."""


class _Remedied(MemqosError):
    """An error of the machine's: the text is `problem; remedy`, as an `InputError`'s."""

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}" if remedy else problem)


class Unsupported(_Remedied):
    """This machine cannot do the job at all: what is missing, and the remedy."""


class AgentError(MemqosError):
    """The agent cannot go on."""


class LockHeld(AgentError):
    """Another agent manages this node."""


class LabError(MemqosError):
    """The laboratory cannot run an experiment."""


class ToolMissing(_Remedied, LabError):
    """A program or kernel the laboratory needs is not here; the remedy is the line that installs it."""


class VmLost(LabError):
    """The virtual machine died before it reported; nothing is known of what ran in it."""
