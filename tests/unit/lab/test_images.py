import pytest

from memqos.lab.images import files_of, rehearsal


@pytest.mark.parametrize(
    ("command", "harmless"),
    [
        (["md5sum", "/data/big"], ("md5sum", "--version")),
        (["sh", "-c", "exec cat /data/big"], ("cat", "--version")),
        (
            ["python3", "-m", "memqos.lab.load", "mib=4000"],
            ("python3", "-m", "memqos.lab.load", "mib=1", "step=1"),
        ),
        (["/opt/bin/memqos", "workload", "big.yaml"], ("/opt/bin/memqos", "workload", "small.yaml")),
    ],
)
def test_a_program_is_rehearsed_without_what_it_is_there_for(
    command: list[str], harmless: tuple[str, ...]
) -> None:
    assert rehearsal(command, "small.yaml") == harmless


def test_a_program_that_is_not_there_has_read_nothing() -> None:
    assert files_of(("memqos-no-such-program", "--version"), {"PATH": "/usr/bin:/bin"}) == set()


def test_what_a_program_is_linked_with_belongs_to_it() -> None:
    names = {path.name for path in files_of(("cat", "--version"), {"PATH": "/usr/bin:/bin"})}
    assert "cat" in names
    assert "libc.so.6" in names
