from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memqos.cli import exits
from memqos.cli.main import COMMANDS


def test_help_names_every_command_and_every_exit_code(run) -> None:
    status, out, _ = run("--help")
    assert status == exits.OK
    for word in [*COMMANDS, *map(str, exits.MEANINGS)]:
        assert word in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == exits.OK
    assert "Usage: memqos" in out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['memqos', '--help']\n"
        "from memqos.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'matplotlib', 'pydantic', 'rich', 'yaml', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_wrong_option_is_wrong_usage(run) -> None:
    status, _, err = run("pods", "--no-such-option")
    assert status == exits.BAD_INPUT
    assert "No such option" in err


def test_a_machine_without_cgroup_v2_gets_one_sentence(run, tmp_path: Path) -> None:
    status, out, err = run("pods", "--cgroup-root", tmp_path)
    assert (status, out) == (exits.CANNOT_HERE, "")
    assert err.startswith("memqos: ")
    assert err.count("\n") == 1


def test_output_that_cannot_be_written_is_one_sentence(manifest: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "memqos",
        "plan",
        "--pods",
        str(manifest),
        "--node-memory",
        "1Gi",
        "--json",
    ]
    # unbuffered, so that the write fails where it is made and not when the process ends
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    assert done.returncode == exits.CANNOT_HERE
    assert done.stderr == "memqos: the output cannot be written: No space left on device\n"
