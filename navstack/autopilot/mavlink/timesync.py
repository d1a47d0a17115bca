"""The autopilot's clock on the flight loop's: MAVLink's TIMESYNC (mavlink.io, "Time Synchronization").

We send our time; the autopilot answers with it and its own. Taken at the middle of the round trip, the answer
tells the offset, as truly as the two ways take equally long. Of the last few answers the newest is believed
whose round trip is about as short as the shortest: clocks drift, and simulated ones do not keep pace.
"""

from __future__ import annotations

from collections import deque

PERIOD = 0.5  # s between questions
REMEMBERED = 10  # answers
ABOUT = 0.005  # s that a round trip may be longer than the shortest
SLOWEST = 0.5  # s: an answer after a longer round trip says nothing


class TimeSync:
    """Offset and round trip, from the answers that came."""

    def __init__(self) -> None:
        self._answers: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)  # round trip, offset
        self._asked_at = -PERIOD
        self._asked: deque[int] = deque(maxlen=REMEMBERED)

    def question(self, now: float) -> int | None:
        """Our time in ns to send, where a question is due."""
        if now - self._asked_at < PERIOD:
            return None
        self._asked_at = now
        stamp = max(1, round(now * 1e9))
        self._asked.append(stamp)
        return stamp

    def answer(self, asked: int, theirs: int, now: float) -> bool:
        """Take an answer: our stamp, their time (both ns); False where it is none of our questions'."""
        if asked not in self._asked:
            return False
        self._asked.remove(asked)
        sent = asked * 1e-9
        round_trip = now - sent
        if 0.0 <= round_trip <= SLOWEST:
            self._answers.append((round_trip, sent + 0.5 * round_trip - theirs * 1e-9))
        return True

    def forget(self) -> None:
        """The autopilot began a new clock."""
        self._answers.clear()
        self._asked.clear()

    @property
    def round_trip(self) -> float | None:
        """The shortest round trip of the last answers in s, or None before the first."""
        return min(self._answers)[0] if self._answers else None

    @property
    def offset(self) -> float | None:
        """s to add to the autopilot's clock for ours, or None before the first answer."""
        if not self._answers:
            return None
        shortest = min(self._answers)[0]
        return next(offset for trip, offset in reversed(self._answers) if trip <= shortest + ABOUT)

    def local(self, boot_seconds: float, arrival: float) -> float:
        """When something stamped by the autopilot was true, on our clock; its arrival where that is unknown.

        A stamp that stands still makes what it stands on old: an estimator that repeats itself is found out.
        """
        offset = self.offset
        return arrival if offset is None else min(arrival, boot_seconds + offset)
