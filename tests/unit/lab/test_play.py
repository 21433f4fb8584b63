import gc

import pytest

from memqos.lab.play import in_a_process_of_its_own


def test_a_variant_that_fails_says_why_and_ends_only_its_own_process(
    capfd: pytest.CaptureFixture[str],
) -> None:
    seen: list[int] = []
    assert in_a_process_of_its_own(lambda: seen.append(1)) == 0
    assert seen == []
    assert in_a_process_of_its_own(lambda: print(1 // 0)) == 1
    assert "ZeroDivisionError" in capfd.readouterr().out
    gc.unfreeze()
