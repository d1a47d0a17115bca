"""The autopilot's clock on ours: the offset is found through delay, drift and answers that are nobody's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.autopilot.mavlink.timesync import ABOUT, TimeSync


def talk(sync, seconds, offset, trip, rate=1.0):
    """Ask whenever it is due; the autopilot's clock is ours less `offset`, running at `rate`."""
    now = 0.0
    while now < seconds:
        stamp = sync.question(now)
        if stamp is not None:
            there = now + 0.5 * trip(now)
            sync.answer(stamp, round((there * rate - offset) * 1e9), now + trip(now))
        now += 0.01


@given(st.floats(-1e4, 1e4), st.floats(0.0, 0.3))
def test_the_offset_is_found_through_any_even_delay(offset, delay):
    sync = TimeSync()
    talk(sync, 3.0, offset, lambda now: delay)
    assert sync.offset == pytest.approx(offset, abs=1e-5)
    assert sync.round_trip == pytest.approx(delay, abs=1e-5)


def test_slow_answers_are_not_believed_while_there_are_fast_ones():
    sync = TimeSync()
    talk(sync, 4.0, 7.0, lambda now: 0.01 if now < 0.4 else 0.3)
    assert sync.offset == pytest.approx(7.0, abs=1e-6)
    assert sync.round_trip == pytest.approx(0.01)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_a_clock_that_does_not_keep_pace_is_followed(rate):
    sync = TimeSync()
    talk(sync, 10.0, 3.0, lambda now: 0.01, rate)
    boot = 10.0 * rate - 3.0
    assert sync.local(boot, 10.0) > 10.0 - 0.15
    assert sync.local(boot, 10.0) <= 10.0


def test_what_was_not_asked_is_not_answered_and_a_stamp_that_stands_still_grows_old():
    sync = TimeSync()
    assert not sync.answer(123, 456, 1.0)
    assert sync.offset is None
    assert sync.local(99.0, 5.0) == 5.0
    talk(sync, 1.0, 2.0, lambda now: ABOUT)
    assert 20.0 - sync.local(3.0, 20.0) == pytest.approx(15.0, abs=0.01)
