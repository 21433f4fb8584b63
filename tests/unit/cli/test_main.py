from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memqos.cli import exits
from memqos.cli.main import COMMANDS
from memqos.cli.output import Output
from memqos.report.table import Column, table


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


FULL = "memqos: the output cannot be written: No space left on device\n"


def ended(words: list[str | Path], stdout: object, unbuffered: str) -> tuple[int, str]:
    """Run memqos with this stdout: with a buffer, as users do, or without, so that a write fails at once."""
    done = subprocess.run(
        [sys.executable, "-m", "memqos", *map(str, words)], stdout=stdout, stderr=subprocess.PIPE, text=True,
        check=False, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_output_that_cannot_be_written_is_one_sentence(
    manifest: Path, as_json: tuple[str, ...], unbuffered: str
) -> None:
    with Path("/dev/full").open("w") as full:
        words = ["plan", "--pods", manifest, "--node-memory", "1Gi", *as_json]
        assert ended(words, full, unbuffered) == (exits.CANNOT_HERE, FULL)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["--help"], ["lab", "--help"], ["lab", "list", "--json"]])
def test_nobody_reads_to_the_end_and_that_is_no_error(words: list[str | Path], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended(words, writer, unbuffered) == (exits.OK, "")
    finally:
        os.close(writer)


@pytest.mark.parametrize("closed", ["1>&-", "1>&- 2>&-"])
def test_without_a_stdout_it_does_what_it_does(manifest: Path, closed: str) -> None:
    line = f'"{sys.executable}" -m memqos plan --pods "{manifest}" --node-memory 1Gi {closed}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (exits.OK, "", "")


def test_a_full_disk_takes_the_agents_log_and_not_the_agent(
    run, tree: Path, kubelet_pods: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    words = ["run", "--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", state]
    with Path("/dev/full").open("w") as full:
        assert ended([*words, "--seconds", "1", "--interval", "0.1"], full, "") == (exits.CANNOT_HERE, FULL)
    _, out, _ = run("journal", "--state", state, "--json")
    assert json.loads(out)["turns"] > 1


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_locale_without_a_letter_writes_it_another_way(
    manifest: Path, as_json: tuple[str, ...], tmp_path: Path
) -> None:
    manifest.write_text(manifest.read_text().replace("64Mi}", '"5 µ"}', 1))
    words = ["plan", "--pods", str(manifest), "--node-memory", "1Gi", *as_json]
    done = subprocess.run(
        [sys.executable, "-m", "memqos", *words], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (exits.OK, b"")
    text = done.stdout.decode("ascii")
    said = json.loads(text)["advice"][0]["problem"] if as_json else text
    assert ("5 µ" if as_json else r"5 \xb5") in said


def test_a_narrow_terminal_gets_whole_words(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    shown = table([Column("what", "what"), Column("path", "path")], [("memory", "kubepods/burstable")])
    output = Output(as_json=False)
    output.on_terminal = True
    for columns, frame in ((10, False), (40, True)):
        monkeypatch.setenv("COLUMNS", str(columns))
        output.tables({}, shown)
        out = capsys.readouterr().out
        assert ("─" in out) is frame
        assert "memory" in out
        assert "kubepods/burstable" in out


@pytest.mark.parametrize("option", ["--pods", "--kubelet-pods", "--policy", "--state"])
def test_a_path_from_a_variable_that_is_not_set_is_not_the_current_directory(run, option: str) -> None:
    status, out, err = run("run", option, "")
    assert (status, out) == (exits.BAD_INPUT, "")
    assert f"Invalid value for '{option}': it is empty" in err
