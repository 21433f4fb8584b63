"""Packages of any Debian suite, by the machine's own apt with a private configuration.

Nothing of the machine's apt state changes: sources, lists, archives and status are all kept
in a directory of the cache. The mirror is the one this machine's Debian sources name, or
`$MEMQOS_DEBIAN_MIRROR` (needed on Ubuntu). apt checks the signature of the suite against
Debian's archive keyring and the SHA256 of every package; nothing is ever installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from memqos.errors import LabError, ToolMissing

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S = 600


def run_tool(argv: list[str], *, cwd: Path | None = None) -> str:
    """Run a program and return its output; raises `LabError` with its last words when it fails."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_S, env=_ENVIRONMENT, check=False
        )
    except FileNotFoundError as error:
        raise ToolMissing(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{argv[0]} did not end within {_TIMEOUT_S} s") from error
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise LabError(f"{argv[0]} failed ({done.returncode}): " + " | ".join(words))
    return done.stdout


_ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def mirror() -> str:
    """Return the URI of a Debian mirror; raises `LabError` naming the variable to set."""
    if os.environ.get("MEMQOS_DEBIAN_MIRROR"):
        return os.environ["MEMQOS_DEBIAN_MIRROR"]
    if shutil.which("apt-get") is None:
        raise ToolMissing("apt-get is not here", remedy="fetch kernels on Debian or Ubuntu")
    os_release = Path("/etc/os-release").read_text(encoding="utf-8")
    release = re.search(r'^VERSION_CODENAME="?(\w+)', os_release, re.MULTILINE)
    suites = {"stable", "testing", "unstable", "sid", release[1] if release else "stable"}
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(TRUSTED)"
    targets = run_tool(["apt-get", "indextargets", "--no-release-info", "--format", form])
    for line in targets.splitlines():
        uri, suite, component, _ = line.split("|")
        if re.search(r"^ID=\"?debian\"?$", os_release, re.M) and suite in suites and component == "main":
            return uri
    raise LabError(
        "no Debian mirror among this machine's apt sources; set MEMQOS_DEBIAN_MIRROR to the URI of one"
    )


@dataclass(frozen=True)
class Suite:
    """One Debian suite (such as "trixie"), seen through a private apt in `home`."""

    name: str
    home: Path

    def update(self) -> None:
        """Fetch the suite's signed index. Raises `LabError`, naming the remedy."""
        if not KEYRING.exists():
            raise ToolMissing(f"{KEYRING} is not here", remedy="apt-get install -y debian-archive-keyring")
        for part in ("lists/partial", "cache/archives/partial"):
            (self.home / part).mkdir(parents=True, exist_ok=True)
        self._sources.write_text(
            f"Types: deb\nURIs: {mirror()}\nSuites: {self.name}\nComponents: main\n"
            f"Architectures: amd64\nSigned-By: {KEYRING}\n",
            encoding="utf-8",
        )
        try:
            run_tool(["apt-get", *self._options, "-q", "-o", "APT::Update::Error-Mode=any", "update"])
        except LabError as error:
            remedy = "is the mirror reachable, and debian-archive-keyring up to date?"
            raise LabError(f"suite {self.name} cannot be fetched: {error}; {remedy}") from error

    def depends(self, package: str) -> list[str]:
        """Return the packages that `package` depends on, in the suite."""
        text = run_tool(["apt-cache", *self._options, "depends", "--important", package])
        return re.findall(r"^\s*\|?(?:Pre)?Depends: ([a-z0-9][^\s<>]*)$", text, re.MULTILINE)

    def version(self, package: str) -> str:
        """Return the version of a package in the suite."""
        match = re.search(r"^Version: (\S+)$", run_tool(["apt-cache", *self._options, "show", package]), re.M)
        if match is None:
            raise LabError(f"suite {self.name} has no package {package}")
        return match[1]

    def download(self, packages: list[str], into: Path) -> list[Path]:
        """Download packages, each checked by apt against the signed index."""
        into.mkdir(parents=True, exist_ok=True)
        run_tool(["apt-get", *self._options, "-q", "download", *packages], cwd=into)
        return sorted(into.glob("*.deb"))

    @property
    def _sources(self) -> Path:
        return self.home / "memqos.sources"

    @property
    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": self._sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self.home,
            "Dir::State::lists": self.home / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self.home / "cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
