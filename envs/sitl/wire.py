"""A connection inside one process, on simulated time: with delay, loss, and whatever else befalls a wire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Fault = Callable[[bytes, float], list[tuple[float, bytes]]]
"""What becomes of a piece sent at a time (s): the pieces that arrive and when."""


def perfect(data: bytes, now: float) -> list[tuple[float, bytes]]:
    """It arrives at once."""
    return [(now, data)]


class WireEnd:
    """One end of a `MemoryWire`: a `Transport`."""

    datagrams = True

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._under_way: deque[tuple[float, bytes]] = deque()
        self.other: WireEnd | None = None
        self.fault: Fault = perfect
        self.closed = False

    def read(self) -> list[bytes]:
        """What has arrived by now, by time of arrival."""
        now = self._clock()
        arrived = sorted((entry for entry in self._under_way if entry[0] <= now), key=lambda entry: entry[0])
        self._under_way = deque(entry for entry in self._under_way if entry[0] > now)
        return [data for _, data in arrived]

    def write(self, data: bytes) -> bool:
        """Send to the other end."""
        assert self.other is not None
        self.other._under_way.extend(self.fault(data, self._clock()))
        return True

    def close(self) -> None:
        """Nothing to close."""
        self.closed = True


class MemoryWire:
    """Two ends. `companion` and `vehicle` are transports; their `fault` says what befalls what they send."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.companion, self.vehicle = WireEnd(clock), WireEnd(clock)
        self.companion.other, self.vehicle.other = self.vehicle, self.companion
