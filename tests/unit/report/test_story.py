from collections.abc import Iterable

from memqos.lab.recording import Happened, Written
from memqos.report.story import Story

CGROUPS = {
    "a": "kubepods/poda",
    "a/main": "kubepods/poda/main",
    "b": "kubepods/podb",
    "b/one": "kubepods/podb/one",
    "b/two": "kubepods/podb/two",
}


def told(*happened: tuple[str, str, str]) -> list[str]:
    story = Story(CGROUPS)
    events = [Happened(float(i), *each) for i, each in enumerate(happened)]
    return [line for event in events for line in story.happened(event)]


def wrote(*writes: tuple[str, str, str, str]) -> tuple[list[str], list[str]]:
    story = Story(CGROUPS)
    found: Iterable[Written] = [
        Written(float(i), cgroup, knob, "64 MiB", status, why)
        for i, (cgroup, knob, status, why) in enumerate(writes)
    ]
    return [line for each in found for line in story.wrote(each)], list(story.ends())


def test_a_container_that_is_killed_and_starts_again_is_three_lines() -> None:
    lines = told(
        ("created", "default/a/main", ""),
        ("started", "default/a/main", ""),
        ("exited", "default/a/main", "OOMKilled, exit code 137"),
        ("started", "default/a/main", ""),
    )
    assert lines == [
        "   1.0 s a started",
        "   2.0 s a OOM-killed, exit code 137",
        "   3.0 s a restarted, time 1",
    ]


def test_one_container_of_several_is_named_and_so_is_a_namespace() -> None:
    assert told(("started", "default/b/two", ""))[0].endswith(" b/two started")
    assert told(("started", "prod/a/main", ""))[0].endswith(" prod/a/main started")


def test_an_eviction_is_told_once_with_its_reason_and_a_stop_as_a_stop() -> None:
    lines = told(
        ("condition", "MemoryPressure", "True"),
        ("evicting", "default/a", "The node was low on resource: memory."),
        ("evicted", "default/a", "Evicted"),
        ("gone", "default/a", ""),
        ("evicted", "default/b", "Stopped"),
        ("evicted", "default/b", "Evicted: memqos: the node is short"),
        ("refused", "default/c", "the node is short of memory"),
    )
    assert [line[9:] for line in lines] == [
        "MemoryPressure of the node: True",
        "a evicted by the kubelet: The node was low on resource: memory.",
        "b stopped",
        "b evicted by memqos: the node is short",
        "c refused by the kubelet: the node is short of memory",
    ]


def test_steps_of_the_timeline_are_not_told() -> None:
    assert told(("sleep", "timeline", "sleep 5"), ("start", "timeline", "start a")) == []


def test_a_write_is_told_once_for_a_pod_and_its_containers_and_counted_when_it_comes_again() -> None:
    why = "default/a chose 64 MiB"
    high = ("kubepods/podb", "memory.high", "written", "it grows")
    lines, end = wrote(
        ("kubepods/poda/main", "memory.swap.max", "written", why),
        ("kubepods/poda", "memory.swap.max", "written", why),
        high,
        high,
        high,
    )
    assert lines == [
        "   0.0 s memqos: a memory.swap.max = 64 MiB: a chose 64 MiB",
        "   2.0 s memqos: b memory.high = 64 MiB: it grows",
    ]
    assert end == ["         memqos wrote 2 more times to the same knobs: b memory.high 2"]


def test_a_write_that_failed_says_so_and_a_long_reason_is_cut_between_words() -> None:
    (line,), _ = wrote(("kubepods", "memory.min", "failed", "because " * 40))
    assert line.startswith("   0.0 s memqos: kubepods memory.min = 64 MiB [failed]: because because")
    assert line.endswith("because …")
    assert len(line) < 170


def test_what_was_counted_is_told_once_even_when_the_end_is_reached_twice() -> None:
    story = Story(CGROUPS)
    for at in range(3):
        list(story.wrote(Written(float(at), "kubepods/poda", "memory.high", "64 MiB", "written", "why")))
    assert list(story.ends()) == ["         memqos wrote 2 more times to the same knobs: a memory.high 2"]
    assert list(story.ends()) == []
