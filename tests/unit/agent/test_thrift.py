from __future__ import annotations

import gc

from memqos.agent.thrift import EVERY, thrifty


def test_cycles_are_collected_rarely_while_it_lasts_and_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with thrifty():
        assert gc.get_threshold()[0] == EVERY
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
