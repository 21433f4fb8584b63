import errno
import os
import zlib
from pathlib import Path

import pytest

from memqos.agent.original import Intent
from memqos.agent.originals import Originals
from memqos.errors import AgentError
from memqos.model.snapshot import IoMax
from memqos.units import UNLIMITED

KEY = ("a", 7, "memory.max")


def intent(before: int, value: int) -> Intent:
    return Intent(*KEY, before, value)


def reopened(directory: Path, boot: str = "boot") -> Originals:
    return Originals(directory, boot)


def test_the_first_original_survives_the_process(tmp_path: Path) -> None:
    originals = Originals(tmp_path, "boot")
    originals.remember([intent(UNLIMITED, 4096)])
    originals.remember([intent(4096, 8192)])
    known = reopened(tmp_path).get(KEY)
    assert known is not None
    assert (known.value, known.ours) == (UNLIMITED, (4096, 8192))


def test_a_switch_and_io_limits_are_remembered_as_what_they_are(tmp_path: Path) -> None:
    originals = Originals(tmp_path, "boot")
    limits = {"8:0": IoMax(rbps=1)}
    originals.remember(
        [Intent("a", 7, "memory.oom.group", False, True), Intent("a", 7, "io.max", {}, limits)]
    )
    values = [(known.value, known.ours) for known in reopened(tmp_path).all()]
    assert values == [(False, (True,)), ({}, (limits,))]
    assert values[0][0] is False


def test_another_boot_remembers_nothing(tmp_path: Path) -> None:
    Originals(tmp_path, "boot").remember([intent(1, 2)])
    assert len(reopened(tmp_path, "next boot")) == 0
    assert len(reopened(tmp_path)) == 0


def test_what_is_forgotten_stays_forgotten(tmp_path: Path) -> None:
    originals = Originals(tmp_path, "boot")
    originals.remember([intent(1, 2)])
    originals.forget([KEY, KEY])
    assert len(originals) == len(reopened(tmp_path)) == 0


def test_a_torn_tail_costs_only_the_torn_record(tmp_path: Path) -> None:
    originals = Originals(tmp_path, "boot")
    originals.remember([intent(UNLIMITED, 4096)])
    whole = (tmp_path / "originals").read_bytes()
    originals.remember([intent(4096, 8192)])
    both = (tmp_path / "originals").read_bytes()
    for cut in range(len(whole), len(both)):
        (tmp_path / "originals").write_bytes(both[:cut])
        again = reopened(tmp_path)
        known = again.get(KEY)
        assert known is not None
        assert known.ours == (4096,)
        again.remember([Intent("b", 1, "memory.low", 0, 1)])
        assert len(reopened(tmp_path)) == 2


def test_a_flipped_bit_is_not_taken_for_a_value(tmp_path: Path) -> None:
    Originals(tmp_path, "boot").remember([intent(4096, 8192)])
    path = tmp_path / "originals"
    data = bytearray(path.read_bytes())
    for place in range(len(data) - 1):
        flipped = bytearray(data)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        known = reopened(tmp_path).get(KEY)
        assert known is None or known.value == 4096


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    originals = Originals(tmp_path, "boot")
    originals.remember([intent(1, 2)])
    before = (tmp_path / "originals").read_bytes()
    write = os.write
    calls = 0

    def nearly_full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:5])

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(OSError, match="No space"):
        originals.remember([Intent("b", 1, "memory.low", 0, 1)])
    assert (tmp_path / "originals").read_bytes() == before
    assert len(originals) == 1


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    originals = Originals(tmp_path, "boot")
    for size in range(1, 40):
        originals.remember([intent(size - 1, size)])
    assert len(reopened(tmp_path)) == 1
    assert (tmp_path / "originals").read_text().count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"00000000 [1]",
        b'%08x {"a":1}' % zlib.crc32(b'{"a":1}'),
        b'%08x ["boot"]' % zlib.crc32(b'["boot"]'),
    ],
)
def test_a_damaged_record_costs_itself_and_is_counted_and_kept(tmp_path: Path, line: bytes) -> None:
    Originals(tmp_path, "boot").remember([intent(UNLIMITED, 4096)])
    whole = (tmp_path / "originals").read_bytes()
    (tmp_path / "originals").write_bytes(line + b"\n" + whole)
    again = reopened(tmp_path)
    assert (again.damaged, len(again)) == (1, 1)
    (advice,) = again.damage()
    assert advice.problem.startswith(f"1 records of {tmp_path / 'originals'} are damaged")
    assert (tmp_path / "originals.damaged").read_bytes() == line + b"\n" + whole
    assert reopened(tmp_path).damaged == 0  # written anew without it


def test_what_is_no_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "originals").mkdir()
    with pytest.raises(AgentError, match="originals cannot be read: Is a directory; look what it is"):
        Originals(tmp_path, "boot")
    (tmp_path / "originals").rmdir()
    os.mkfifo(tmp_path / "originals")
    with pytest.raises(AgentError, match="originals is not a file; look what it is"):
        Originals(tmp_path, "boot")
