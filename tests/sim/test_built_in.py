"""`memqos simulate` and nothing else: what `make run` shows, on each kernel."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from memqos.cli import exits
from memqos.cli.main import cli

README = Path(__file__).parents[2] / "README.md"


def simulate(*words: str) -> Result:
    return CliRunner().invoke(cli, ["simulate", *words])


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_the_scenario_that_comes_with_memqos_holds_what_it_says(kernel: str) -> None:
    done = simulate("--kernel", kernel, "--json")
    assert done.exit_code == exits.OK, done.output
    runs = json.loads(done.stdout)["runs"]
    assert set(runs) == {"kubelet", "memqos"}
    alone, managed = runs["kubelet"]["batch"], runs["memqos"]["batch"]
    # on 7.2 two pages of a program's memory decide whether the kubelet finds the node short at one of its
    # looks, ten seconds apart, and evicts the job together with the leak
    assert not alone["evictions"] or kernel == "7.2"
    phase = "Failed" if alone["evictions"] else "Running"
    assert (alone["oom_kills"], alone["phase"], alone["exit"]) == (4, phase, 137)
    assert (managed["oom_kills"], managed["phase"], managed["exit"]) == (0, "Succeeded", 0)
    # 224 MiB of memory under 128 MiB: what does not fit is swapped, again and again
    assert managed["swapped_out"] > 96 << 20
    assert [runs[name]["service"]["requests"] for name in runs] == [2500, 2500]


def test_what_happens_is_told_and_then_set_side_by_side() -> None:
    out = simulate().stdout
    first, second = out.index("kubelet: the kubelet alone"), out.index("memqos: under memqos")
    table, next_steps = out.index("side by side"), out.index("Manage this machine")
    assert first < second < table < next_steps
    assert "batch OOM-killed, exit code 137" in out[first:second]
    assert "memqos: batch memory.swap.max = 192 MiB: batch chose 192 MiB of swap" in out[second:table]
    assert "batch completed, exit code 0" in out[second:table]


def test_the_readme_shows_what_it_prints() -> None:
    """`...` stands for lines left out; the others are whole and in this order, as they are printed."""
    excerpt = (
        README.read_text(encoding="utf-8").partition("Shortened at `...`, it prints:")[2].split("```")[1]
    )
    left = iter(lines := simulate().stdout.splitlines())
    for line in excerpt.strip("\n").splitlines():
        if line != "...":
            near = get_close_matches(line, lines, 3, 0.5)
            assert line in left, f"the README says {line!r}; it prints {near}, or in another place"


def test_the_same_seed_is_the_same_document_to_the_byte() -> None:
    one, two, other = (simulate("--json", "--seed", seed).stdout for seed in ("5", "5", "6"))
    assert one == two
    assert json.loads(other)["runs"].keys() == json.loads(one)["runs"].keys()
