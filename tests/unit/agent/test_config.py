import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from memqos.agent.config import load_policy, read_policy, schema
from memqos.errors import PolicyError
from memqos.policy.io_settings import DiskSettings
from memqos.policy.settings import Settings, SwapSettings
from memqos.units import GIB, MIB

ROOT = Path(__file__).parents[3]
HEAD = "apiVersion: memqos.dev/v1alpha1\nkind: MemoryPolicy\n"


def spec(text: str) -> Settings:
    return read_policy(f"{HEAD}spec: {text}", source="p.yaml")


def test_a_policy_that_says_nothing_is_the_defaults() -> None:
    assert read_policy(HEAD) == spec("{}") == Settings()


def test_sizes_are_quantities_or_bytes() -> None:
    swap = spec("{swap: {maximumPerPod: 1.5Gi, budget: 1048576, reserve: 0}}").swap
    assert swap == SwapSettings(maximum_per_pod=3 * GIB // 2, budget=MIB, reserve=0)
    assert spec("{swap: {maximumPerPod: null}}").swap.maximum_per_pod is None


@pytest.mark.parametrize("text", ["Off", "off", '"Off"'])
def test_off_is_a_word_although_yaml_takes_it_for_false(text: str) -> None:
    assert spec(f"{{evict: {{mode: {text}}}}}").evict.mode == "Off"


@pytest.mark.parametrize("text", ["metadata:", "spec:", "spec:\n  swap:", "spec:\n  kubelet:\n    config:"])
def test_a_group_whose_settings_are_all_commented_out_is_the_defaults(text: str) -> None:
    assert read_policy(f"{HEAD}{text}\n") == Settings()


def test_lists_and_words_are_read() -> None:
    swap = spec("{swap: {mode: None, default: 0, namespaces: [a, 'team-*']}}").swap
    assert (swap.mode, swap.default, swap.namespaces) == ("None", "0", ("a", "team-*"))


def test_disks_are_read_with_their_figures() -> None:
    disks = "[{name: vda, bytesPerSecond: 40Mi, requestsPerSecond: 400}, {name: nvme*}]"
    assert spec(f"{{io: {{disks: {disks}}}}}").io.disks == (
        DiskSettings("vda", 40 * MIB, 400),
        DiskSettings("nvme*"),
    )


def test_a_kubelets_configuration_is_read_as_the_kubelet_spells_it() -> None:
    kubelet = spec("{kubelet: {write: true, version: '1.37', config: {memoryThrottlingFactor: 0.5}}}").kubelet
    assert (kubelet.write, kubelet.config.version) == (True, "1.37")
    assert kubelet.config.memory_throttling_factor == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{swap: {mode: Podchoice}}",
            "p.yaml: spec.swap.mode: 'Podchoice' is not known; write 'PodChoice', ",
        ),
        (
            "{swap: {maximumPerPod: 1e30Gi}}",
            "spec.swap.maximumPerPod: '1e30Gi' is not a quantity; write a size",
        ),
        ("{swap: {budget: -1}}", "spec.swap.budget: -1 is negative; write a size such as 512Mi"),
        (
            "{io: {disks: [{name: vda, bytesPerSecond: 0}]}}",
            "spec.io.disks[0].bytesPerSecond: 0 is less than 4 KiB; write a size such as 512Mi",
        ),
        ("{io: {floorBytes: 1Ki}}", "spec.io.floorBytes: '1Ki' is less than 4 KiB; write a size"),
        ("{swap: {reserve: null}}", "spec.swap.reserve: null is not right"),
        ("{swap: {reserve: yes}}", "spec.swap.reserve: true is not right"),
        (
            "{swap: {maximum_per_pod: 1}}",
            "spec.swap.maximum_per_pod: is no setting; did you mean maximumPerPod?",
        ),
        (
            "{swap: {namespaces: [1]}}",
            "spec.swap.namespaces[0]: 1 is not right; put it in quotes",
        ),
        (
            "{agent: {intervalSeconds: 0}}",
            "spec.agent.intervalSeconds: 0 is not right; input should be greater",
        ),
        (
            "{watch: {memoryStallPercent: 101}}",
            "spec.watch.memoryStallPercent: 101 is not right; input should be less than or equal to 100",
        ),
        ("{ease: {marginPercent: 150}}", "spec.ease.marginPercent: 150 is not right; input should be less"),
        ("{relax: {stepPercent: 1001}}", "spec.relax.stepPercent: 1001 is not right; input should be less"),
        ("{agent: {intervalSeconds: .inf}}", "spec.agent.intervalSeconds: inf is not right"),
        (
            "{agent: {intervalSeconds: '5'}}",
            "spec.agent.intervalSeconds: '5' is not right; write a number, without quotes",
        ),
        ("{swap: {mode: ~}}", "spec.swap.mode: null is not known; write 'PodChoice',"),
        ("{swap: {mode: off}}", "spec.swap.mode: false is not known; write 'PodChoice',"),
        ("{evict: {mode: 0}}", "spec.evict.mode: 0 is not known; write 'Evict', 'Advise' or 'Off'"),
        ("{evict: {mode: yes}}", "spec.evict.mode: true is not known; write 'Evict', 'Advise' or 'Off'"),
        ("{io: {enabled: 1}}", "spec.io.enabled: 1 is not right; write true or false"),
        ("{swap: [a]}", "spec.swap: […] is not right; write its settings below it"),
        ("{swap: {namespaces: a}}", "spec.swap.namespaces: 'a' is not right; write a list, such as [a, b]"),
        ("{io: {disks: [{name: a}, {}]}}", "spec.io.disks[1].name: is empty; name a disk as lsblk does"),
        (
            "{io: {disks: [{name: vda, bytesPerSecond: fast}]}}",
            "spec.io.disks[0].bytesPerSecond: 'fast' is not a quantity; write a size such as 512Mi",
        ),
        ("{io: {disks: [{nam: vda}]}}", "spec.io.disks[0].nam: is no setting; did you mean name?"),
        ("{bogus: 1}", "p.yaml: spec.bogus: is no setting; write one of kubelet, swap, hierarchy, "),
        ("{kubelet: {version: '1.2'}}", "spec.kubelet.version: '1.2' is not known; write '1.34',"),
        (
            "{kubelet: {config: {memorySwap: {swapBehavior: 1}}}}",
            "spec.kubelet.config.memorySwap.swapBehavior: ",
        ),
        (
            "{kubelet: {config: {memoryThrottlingFactor: x}}}",
            "config.memoryThrottlingFactor: 'x' is not a number",
        ),
        ("{swap: {mode: None}, swap: {}}", "p.yaml: "),
        ("{a: 1, b: 2}", "(and 1 more)"),
        ("{}\n---\nkind: Pod", "holds 2 documents"),
        ("[", "is not YAML"),
    ],
)
def test_a_bad_policy_is_told_with_file_field_and_remedy(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as raised:
        spec(text)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "a: 1", "kind: MemoryPolicy", HEAD.replace("v1alpha1", "v2")]
)
def test_what_is_no_memory_policy_says_how_one_begins(text: str) -> None:
    with pytest.raises(PolicyError, match=r"memqos\.dev/v1alpha1"):
        read_policy(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"nothing\.yaml: cannot be read: No such file"):
        load_policy(tmp_path / "nothing.yaml")
    (tmp_path / "p.yaml").write_bytes(b"\xff")
    with pytest.raises(PolicyError, match="UTF-8"):
        load_policy(tmp_path / "p.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["swap", "agent", "kubelet", "config", "mode", "budget", "x"]), inner
            )
        ),
    )
)
def test_any_document_is_a_policy_or_a_policy_error(document: object) -> None:
    text = json.dumps({"apiVersion": "memqos.dev/v1alpha1", "kind": "MemoryPolicy", "spec": document})
    try:
        settings = read_policy(text)
    except PolicyError:
        return
    assert isinstance(settings, Settings)


def test_the_example_is_the_defaults_but_for_its_namespaces() -> None:
    settings = load_policy(ROOT / "examples/policy.yaml")
    assert settings.swap.namespaces == ("default", "team-*")
    assert settings == Settings(swap=SwapSettings(namespaces=("default", "team-*")))


def test_the_example_names_every_setting() -> None:
    named = yaml.safe_load((ROOT / "examples/policy.yaml").read_text())["spec"]
    known = schema()["$defs"]
    for group in fields(Settings):
        settings = type(getattr(Settings(), group.name)).__name__
        assert set(named[group.name]) == set(known[settings]["properties"])


def test_the_schema_in_docs_is_current() -> None:
    committed = json.loads((ROOT / "docs/memorypolicy.schema.json").read_text())
    assert committed == json.loads(json.dumps(schema())), (
        "write json.dumps(memqos.agent.config.schema(), indent=2) to docs/memorypolicy.schema.json"
    )


def test_the_agent_does_not_load_pydantic_before_a_policy_is_read() -> None:
    program = (
        "import sys, memqos.agent.config, memqos.agent.loop, memqos.agent.journal; "
        "print([name for name in ('pydantic', 'rich', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    path = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=path, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("text", ["- " * 50_000, "[" * 50_000, f"{HEAD}spec: {'{a: ' * 50_000}"])
def test_a_policy_nested_without_end_is_one_error(text: str) -> None:
    with pytest.raises(PolicyError, match=r"deep|nest") as caught:
        read_policy(text, source="p.yaml")
    assert str(caught.value).startswith("p.yaml: ")
