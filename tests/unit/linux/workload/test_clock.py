import signal
import time

from memqos.linux.workload.clock import stopped_by_signals


def test_a_signal_ends_a_sleep_at_once_and_one_to_come() -> None:
    with stopped_by_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
        stop.sleep(None)


def test_a_signal_whose_handler_could_not_run_yet_ends_the_sleep_all_the_same() -> None:
    with stopped_by_signals() as stop:
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.raise_signal(signal.SIGTERM)
        begun = time.monotonic()
        stop.sleep(60)
        assert time.monotonic() - begun < 30


def test_afterwards_signals_are_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals():
        pass
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
