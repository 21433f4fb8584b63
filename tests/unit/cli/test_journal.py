from __future__ import annotations

import json
from pathlib import Path

from memqos.cli import exits


def test_the_journal_tells_what_was_done_and_why(run, state: Path) -> None:
    status, out, _ = run("journal", "--state", state, "--about", "default/ledger: memory.swap.max")
    assert status == exits.OK
    (line,) = out.splitlines()
    assert "memory.swap.max max -> 0 B: default/ledger gets the default, no swap: it chose nothing" in line
    status, out, _ = run("journal", "--state", state, "--last", "60", "--json")
    document = json.loads(out)
    assert run("journal", "--state", state / "journal", "--last", "60", "--json")[1] == out
    assert document["turns"] > 0
    assert line in [f"{each['time']}  {each['text']}" for each in document["lines"]]


def test_the_journal_tells_what_another_policy_would_have_decided(
    run, state: Path, tree: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "p.yaml"
    head = "apiVersion: memqos.dev/v1alpha1\nkind: MemoryPolicy\n"
    policy.write_text(f"{head}spec: {{swap: {{mode: None}}}}\n")
    before = {path: path.read_text() for path in tree.rglob("memory.*")}
    _, out, _ = run("journal", "--state", state, "--policy", policy)
    assert "[dry-run]: default/ledger gets the default, no swap: the policy's swap mode is None" in out
    assert {path: path.read_text() for path in tree.rglob("memory.*")} == before


def test_a_journal_in_which_nothing_of_the_kind_happened_says_so(run, state: Path) -> None:
    status, out, _ = run("journal", "--state", state, "--about", "default/nobody")
    assert status == exits.OK
    assert out.startswith("nothing of that kind happened in the ")


def test_a_journal_that_is_not_there_or_not_one_is_named_with_the_remedy(run, tmp_path: Path) -> None:
    status, out, err = run("journal", "--state", tmp_path)
    assert (status, out) == (exits.BAD_INPUT, "")
    assert err.startswith(f"memqos: {tmp_path}/journal: there is no journal; name an agent's state directory")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal-00000001").write_bytes(b"nothing of ours")
    assert "holds no turn that can be read" in run("journal", "--state", tmp_path)[2]
