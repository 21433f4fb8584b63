from pathlib import Path
from typing import Any

import pytest
import yaml

from memqos.errors import ExperimentError
from memqos.workload.parse import load_workload, workload_from
from memqos.workload.spec import (
    Allocate,
    Free,
    Hold,
    MapFile,
    Order,
    ReadFile,
    Repeat,
    RequestFile,
    Requests,
    Sleep,
    Touch,
    Workload,
    WriteFile,
)

HEAD = {"apiVersion": "memqos.dev/v1alpha1", "kind": "Workload"}


def read(text: str) -> Workload:
    """Read the phases written one a line."""
    return workload_from({**HEAD, "phases": yaml.safe_load(text)}, source="w.yaml")


def refusal(text: str) -> str:
    with pytest.raises(ExperimentError) as caught:
        read(text)
    return str(caught.value)


def test_every_phase_and_field_is_read() -> None:
    workload = read(
        """
        - allocate: {name: heap, size: 64Mi, hugePages: true}
        - mmap: {name: index, path: /i, size: 5000, write: true}
        - touch: {region: heap, order: {zipf: 1.1, scatter: true}, accesses: 9, write: true,
                  offset: 8Ki, size: 1Mi, bytesPerSecond: 40Mi}
        - read: {path: /f, bytes: 1Gi, block: 4Ki, order: uniform, bytesPerSecond: 1M}
        - write: {path: /g, size: 1000, block: 512, sync: true, bytesPerSecond: 10}
        - requests: {region: heap, pages: 16, perSecond: 100, seconds: 60, report: 10, write: true,
                     order: {hotCold: {fraction: 0.1, probability: 0.9}},
                     file: {path: /f, bytes: 8Ki, block: 4Ki, order: sequential}}
        - free: {region: heap, size: 4Ki}
        - sleep: {seconds: 0.5}
        - repeat: {times: 3, phases: [{hold: {seconds: 1}}]}
        - hold: {}
        """
    )
    assert workload.phases == (
        Allocate("heap", 64 << 20, huge_pages=True),
        MapFile("index", "/i", 8192, write=True),
        Touch(
            "heap",
            Order("zipf", exponent=1.1, scatter=True),
            write=True,
            accesses=9,
            offset=8192,
            size=1 << 20,
            bytes_per_second=40 << 20,
        ),
        ReadFile("/f", bytes=1 << 30, block=4096, order=Order("uniform"), bytes_per_second=1_000_000),
        WriteFile("/g", 1000, block=512, sync=True, bytes_per_second=10),
        Requests(
            "heap",
            16,
            100.0,
            Order("hotCold", fraction=0.1, probability=0.9),
            write=True,
            seconds=60.0,
            report=10.0,
            file=RequestFile("/f", 8192, 4096, Order()),
        ),
        Free("heap", 4096),
        Sleep(0.5),
        Repeat((Hold(1.0),), 3),
        Hold(),
    )


def test_what_is_left_out_has_its_default() -> None:
    workload = read(
        "[allocate: {name: a, size: 1}, touch: {region: a}, read: {path: f}, write: {path: f, size: 1},"
        " requests: {region: a, pages: 1, perSecond: 0.5}]"
    )
    assert workload.seed == 0
    assert workload.phases == (
        Allocate("a", 4096),
        Touch("a", Order("sequential")),
        ReadFile("f", passes=1, block=128 << 10),
        WriteFile("f", 1, block=1 << 20),
        Requests("a", 1, 0.5, Order("uniform")),
    )


A = "allocate: {name: a, size: 8Ki}"


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ("[]", "w.yaml: phases: is missing or empty; list at least one phase"),
        ("[{}]", "w.yaml: phases[0]: has 0 kinds; write one of allocate, mmap, "),
        ("[{sleep: {seconds: 1}, hold: {}}]", "w.yaml: phases[0]: has 2 kinds"),
        ("[alocate: {}]", 'w.yaml: phases[0].alocate: the phase "alocate" is not known; write one of alloc'),
        ("[sleep: 5]", "w.yaml: phases[0].sleep: 5 is a number, not a mapping"),
        (
            "[allocate: {nam: a}]",
            'phases[0].allocate: the field "nam" is not known; write name, size or hugePages',
        ),
        ("[allocate: {size: 1}]", "phases[0].allocate.name: is missing; give it a name"),
        ("[allocate: {name: A, size: 1}]", 'phases[0].allocate.name: "A" is not a valid name; use lower'),
        ("[allocate: {name: a}]", "phases[0].allocate.size: is missing; give it a value"),
        ("[allocate: {name: a, size: -1}]", "phases[0].allocate.size: -1 is negative"),
        ("[allocate: {name: a, size: 0}]", "phases[0].allocate.size: 0 bytes is out of range"),
        ("[allocate: {name: a, size: 1Ei}]", "phases[0].allocate.size: 1152921504606846976 bytes is out of"),
        ("[allocate: {name: a, size: lots}]", 'phases[0].allocate.size: "lots" is not a quantity; write'),
        ("[allocate: {name: a, size: 1, hugePages: 1}]", "allocate.hugePages: 1 is a number, not true or"),
        (f"[{A}, {A}]", 'phases[1].allocate.name: the region "a" is mapped already; free it first'),
        ("[mmap: {name: a}]", "phases[0].mmap.path: is missing"),
        ("[mmap: {name: a, path: ''}]", "phases[0].mmap.path: is not a path"),
        ("[mmap: {name: a, path: f}, touch: {region: a, write: true}]", 'write: the region "a" is read-only'),
        ("[touch: {region: a}]", 'phases[0].touch.region: there is no region "a" at this point; allocate or'),
        (f"[{A}, free: {{region: a}}, touch: {{region: a}}]", "phases[2].touch.region: there is no region"),
        (f"[{A}, touch: {{region: a, order: random}}]", 'touch.order: "random" is not known; write sequen'),
        (f"[{A}, touch: {{region: a, order: {{}}}}]", "touch.order: needs one distribution; write zipf"),
        (f"[{A}, touch: {{region: a, order: {{zipf: 11}}}}]", "order.zipf: 11 is out of range; write a numb"),
        (f"[{A}, touch: {{region: a, order: {{zipf: x}}}}]", 'order.zipf: "x" is a string, not a number'),
        (f"[{A}, touch: {{region: a, order: {{zipf: .nan}}}}]", "order.zipf: nan is out of range"),
        (
            f"[{A}, touch: {{region: a, order: {{hotCold: {{fraction: 2, probability: 1}}}}}}]",
            "order.hotCold.fraction: 2 is out of range; write a number of 0 to 1",
        ),
        (f"[{A}, touch: {{region: a, order: {{hotCold: {{fraction: 1}}}}}}]", "probability: is missing"),
        (f"[{A}, touch: {{region: a, passes: 2, accesses: 2}}]", "touch.passes: stands beside accesses"),
        (f"[{A}, touch: {{region: a, passes: 0}}]", "touch.passes: 0 is out of range"),
        (f"[{A}, touch: {{region: a, offset: 100}}]", "touch.offset: 100 is not a multiple of the page size"),
        (f"[{A}, touch: {{region: a, offset: 4Ki, size: 8Ki}}]", "touch.size: reaches beyond the 8192 bytes"),
        (f"[{A}, touch: {{region: a, bytesPerSecond: 0}}]", "touch.bytesPerSecond: 0 bytes is out of range"),
        ("[read: {path: f, bytes: 1, passes: 1}]", "read.passes: stands beside bytes"),
        ("[read: {path: f, block: 100}]", "read.block: 100 bytes is not a block; write a multiple of 512"),
        ("[read: {path: f, block: 128Mi}]", "read.block: 134217728 bytes is not a block"),
        ("[write: {path: f}]", "phases[0].write.size: is missing"),
        (f"[{A}, requests: {{region: a, pages: 1}}]", "requests.perSecond: is missing"),
        (f"[{A}, requests: {{region: a, pages: 0, perSecond: 1}}]", "requests.pages: a request does nothing"),
        (f"[{A}, requests: {{region: a, pages: 1, perSecond: 0}}]", "requests.perSecond: 0 is out of range"),
        (
            f"[{A}, requests: {{region: a, pages: 1, perSecond: 1, report: 1.0e-9}}]",
            "requests.report: 1e-09 is out of range; write a number of 0.001 to 1e+06",
        ),
        (
            f"[{A}, requests: {{region: a, pages: 1, perSecond: 1, seconds: 1, count: 1}}]",
            "requests.count: stands beside seconds",
        ),
        (f"[{A}, requests: {{region: a, pages: 1, perSecond: 1, file: {{path: f}}}}]", "file.bytes: is miss"),
        ("[requests: {region: a, pages: 1, perSecond: 1}]", "phases[0].requests.region: there is no region"),
        (f"[{A}, free: {{region: a, size: 12Ki}}]", "phases[1].free.size: reaches beyond the 8192 bytes"),
        ("[sleep: {}]", "phases[0].sleep.seconds: is missing"),
        ("[sleep: {seconds: 0}]", "sleep.seconds: 0 is out of range; write a number above 0"),
        ("[sleep: {seconds: '1'}]", 'sleep.seconds: "1" is a string, not a number'),
        ("[hold: {seconds: .inf}]", "hold.seconds: inf is out of range"),
        ("[repeat: {times: 0, phases: [hold: {}]}]", "repeat.times: 0 is out of range"),
        ("[repeat: {times: 2}]", "repeat.phases: is missing or empty"),
        (f"[repeat: {{phases: [{A}, free: {{region: a}}]}}]", "repeat: repeats for ever what takes no time"),
        (
            f"[repeat: {{times: 2, phases: [{A}]}}]",
            'phases[0].repeat.phases[0].allocate.name: the region "a" is mapped already',
        ),
    ],
)
def test_a_wrong_workload_is_refused_with_field_and_remedy(phases: str, message: str) -> None:
    assert message in refusal(phases)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "Pod"}, 'w.yaml: kind: "Pod" is not a workload\'s; write Workload'),
        ({"apiVersion": None}, "w.yaml: apiVersion: null is not a workload's; write memqos.dev/v1alpha1"),
        ({"seed": -1}, "w.yaml: seed: -1 is out of range; write an integer of 0 to 18446744073709551615"),
        ({"seed": 1.5}, "w.yaml: seed: 1.5 is a number, not an integer"),
        ({"phase": []}, 'w.yaml: the field "phase" is not known; write apiVersion, kind, metadata, seed or'),
    ],
)
def test_a_wrong_head_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        workload_from({**HEAD, "phases": [{"hold": {}}], **changes}, source="w.yaml")
    assert message in str(caught.value)


def test_a_repeated_group_may_free_what_it_allocates() -> None:
    assert read(f"[repeat: {{times: 2, phases: [{A}, touch: {{region: a}}, free: {{region: a}}]}}]")


def test_a_file_is_read_and_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("apiVersion: memqos.dev/v1alpha1\nkind: Workload\nseed: 7\nphases: [hold: {}]\n")
    assert load_workload(path) == Workload((Hold(),), 7, str(path))
    for text, problem in [
        ("a: [", "is not YAML"),
        ("", "holds 0 documents"),
        ("a: 1\n---\nb: 1", "holds 2 doc"),
    ]:
        path.write_text(text)
        with pytest.raises(ExperimentError, match=rf"w\.yaml: {problem}"):
            load_workload(path)
    with pytest.raises(ExperimentError, match=r"gone\.yaml: cannot be read: No such file"):
        load_workload(tmp_path / "gone.yaml")


def test_seconds_and_rate_say_how_many_requests_arrive() -> None:
    def arrivals(seconds: float | None, per_second: float, count: int | None = None) -> int | None:
        return Requests("a", 1, per_second, seconds=seconds, count=count).arrivals

    assert arrivals(60, 100) == 6000
    assert arrivals(0.1, 30) == 3
    assert arrivals(1.01, 10) == 11
    assert arrivals(0.01, 1) == 1
    assert arrivals(None, 1, 5) == 5
    assert arrivals(None, 1) is None
