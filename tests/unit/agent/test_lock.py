import os
from pathlib import Path

import pytest

from memqos.agent.lock import Lock
from memqos.errors import AgentError, LockHeld


def test_a_second_agent_is_told_who_has_the_node(tmp_path: Path) -> None:
    with (
        Lock(tmp_path / "state"),
        pytest.raises(LockHeld, match=f"pid {os.getpid()}, since 20.*; end it first"),
    ):
        Lock(tmp_path / "state").__enter__()


def test_the_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with Lock(tmp_path):
            pass


def test_the_lock_goes_with_its_process_however_it_ends(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        Lock(tmp_path).__enter__()
        os._exit(9)
    os.waitpid(child, 0)
    with Lock(tmp_path):
        assert (tmp_path / "agent.lock").read_text().startswith(f"pid {os.getpid()}")


def test_a_state_directory_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentError, match=r"file/state cannot be used: Not a directory; run as root"):
        Lock(tmp_path / "file/state").__enter__()
