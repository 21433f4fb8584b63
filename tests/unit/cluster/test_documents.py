from pathlib import Path
from typing import Any

import pytest

from memqos.cluster.documents import MAX_VALUES, parse_yaml, read_documents
from memqos.errors import ManifestError


def parse(text: str) -> Any:
    (document,) = parse_yaml(text, "a.yaml")
    return document


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        list(parse_yaml(text, "a.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0x10", 16),
        ("010", 8),
        ("0o10", 8),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("1:30", "1:30"),
        ("128Mi", "128Mi"),
        ("'1'", "1"),
        ("1.2.3", "1.2.3"),
        ("größe", "größe"),
    ],
)
def test_a_scalar_is_read_as_kubernetes_reads_it(text: str, value: Any) -> None:
    read = parse(f"key: {text}")["key"]
    assert (read, type(read)) == (value, type(value))


def test_keys_become_strings() -> None:
    assert parse("{1: a, true: b, 2.5: c}") == {"1": "a", "true": "b", "2.5": "c"}


def test_aliases_and_merges_are_understood() -> None:
    assert parse("a: &x {m: 1, n: 2}\nb: {<<: *x, n: 3}\nc: *x") == {
        "a": {"m": 1, "n": 2},
        "b": {"m": 1, "n": 3},
        "c": {"m": 1, "n": 2},
    }


def test_two_arrows_merge_as_a_plain_key_only() -> None:
    assert parse("a: <<\n'<<': 1") == {"a": "<<", "<<": 1}


def test_a_key_written_twice_is_refused_with_its_line() -> None:
    assert refusal("a: 1\nb: 2\na: 3\n") == 'a.yaml: the key "a" is written twice (line 3); keep one of them'


def test_a_key_written_twice_in_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1, "a": 2}')
    with pytest.raises(ManifestError, match="written twice"):
        list(read_documents(tmp_path / "a.json"))


def test_aliases_that_multiply_are_refused() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    assert f"more than {MAX_VALUES} values" in refusal("l0: &l0 [x]\n" + levels)


def test_merges_that_multiply_are_refused() -> None:
    levels = "".join(f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}\n" for n in range(1, 12))
    assert f"more than {MAX_VALUES} values" in refusal("l0: &l0 {x: 1}\n" + levels)


def test_a_value_that_contains_itself_is_refused() -> None:
    assert "contains itself" in refusal("a: &a [*a]")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 50_000 + "x"])
def test_nesting_without_end_is_refused(text: str) -> None:
    assert refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [id]",
        "a: !!binary aGk=",
        "a: !!timestamp 2026-11-21",
        "a: !mine x",
        "? [a]\n: 1",
        "~: 1",
        "a: !!set {x}",
        "<<: 1",
        "a: !!int x",
        "a: !!bool x",
        "a: 1" + "0" * 400,
        "a: *b",
        "a: [",
        "a: \x01",
        "\ta: 1",
        "a: !!int 0" + "1" * 5000,
    ],
)
def test_what_is_not_plain_yaml_is_one_clear_error(text: str) -> None:
    assert refusal(text).startswith("a.yaml: ")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ManifestError, match=r"not UTF-8 text \(byte 3\)"):
        list(read_documents(tmp_path / "a.yaml"))


def test_documents_are_numbered_and_empty_ones_counted_but_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("﻿a: 1\n---\n# nothing\n---\nb: 2\n", encoding="utf-8")
    read = list(read_documents(tmp_path / "a.yaml"))
    assert [(source.removeprefix(str(tmp_path)), document) for source, document in read] == [
        ("/a.yaml document 1", {"a": 1}),
        ("/a.yaml document 3", {"b": 2}),
    ]


def test_later_documents_errors_name_the_document(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="document 2: the key"):
        list(parse_yaml("a: 1\n---\na: 1\na: 2\n", "a.yaml"))
