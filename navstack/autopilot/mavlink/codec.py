"""Bytes to MAVLink messages and back: pymavlink's generated code, with signing and the counting of losses.

The dialect is ardupilotmega, which contains common: PX4 speaks common, ArduCopter adds EKF_STATUS_REPORT.
What we send is in common alone.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

SIGNING_EPOCH = 1420070400.0  # s, Unix time of 1 January 2015, GMT (mavlink.io, "Message Signing")
LOSS_WINDOW = 5.0  # s
REORDERED = 64  # a number that is behind by less than this is late
RECENT = 0.5  # s: what is late or repeated comes within this time; after it, numbers begin to repeat


class _Outbox:
    """What pymavlink writes its bytes to."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data = bytes(data)


class Codec:
    """One end of a MAVLink connection.

    Args:
        system_id: our own.
        component_id: our own.
        signing_key: 32 bytes; with them everything is signed, and what is not is refused.
        unix_time: s; only the signature's timestamp uses it.
    """

    def __init__(
        self, system_id: int, component_id: int, signing_key: bytes | None = None, unix_time: float = 0.0
    ) -> None:
        self._outbox = _Outbox()
        self._mav = dialect.MAVLink(self._outbox, srcSystem=system_id, srcComponent=component_id)
        self._mav.robust_parsing = True
        self.received = self.sent = self.corrupted = 0
        if signing_key is not None:
            if len(signing_key) != 32:
                raise ValueError(f"a signing key has 32 bytes; found {len(signing_key)}")
            signing = self._mav.signing
            signing.secret_key, signing.sign_outgoing, signing.link_id = signing_key, True, component_id
            signing.timestamp = max(1, int((unix_time - SIGNING_EPOCH) * 1e5))  # in 10 us

    @property
    def system_id(self) -> int:
        """The system that our messages come from."""
        return int(self._mav.srcSystem)

    @system_id.setter
    def system_id(self, value: int) -> None:
        self._mav.srcSystem = value

    @property
    def component_id(self) -> int:
        """The component that our messages come from."""
        return int(self._mav.srcComponent)

    def encode(self, message: Any) -> bytes:
        """The bytes of a message, numbered and, with a key, signed."""
        self._mav.send(message)
        self.sent += 1
        return self._outbox.data

    def decode(self, data: bytes, whole: bool = False) -> list[Any]:
        """The messages that are complete now; whatever is none is counted as corrupted.

        Args:
            data: what arrived.
            whole: the data is a datagram: a rest that is no whole message belongs to nothing that follows.
        """
        mav, messages = self._mav, []
        for message in mav.parse_buffer(data) or ():
            kind = message.get_type()
            if kind == "BAD_DATA":
                self.corrupted += 1
            elif not kind.startswith("UNKNOWN"):
                messages.append(message)
        if whole and mav.buf_len():
            mav.buf, mav.buf_index = bytearray(), 0
            self.corrupted += 1
        self.received += len(messages)
        return messages


class Sequences:
    """Counts missing and repeated messages of one sender by their sequence numbers (0 to 255, wrapping)."""

    def __init__(self) -> None:
        self.lost = self.duplicated = 0
        self._newest, self._heard = 0, -1e9  # number, s
        self._seen: dict[int, float] = {}  # number -> when, s
        self._window: deque[tuple[float, int]] = deque()  # when, how many were missing before it
        self._missed = 0  # the sum of these: it is asked for several times a turn

    def take(self, sequence: int, now: float) -> bool:
        """Count one message; False where it is a repetition."""
        if now - self._seen.get(sequence, -1e9) < RECENT:
            self.duplicated += 1
            return False
        self._seen[sequence] = now
        missing = self._missing(sequence, now)
        self.lost = max(0, self.lost + missing)
        self._window.append((now, missing))
        self._missed += missing
        return True

    def _missing(self, sequence: int, now: float) -> int:
        """How many are missing before this one; -1 for one that was counted as missing and is only late."""
        first, recent = not self._window, now - self._heard < RECENT
        ahead = (sequence - self._newest) % 256
        if not first and recent and ahead > 256 - REORDERED:
            return -1
        self._newest, self._heard = sequence, now
        return 0 if first else (ahead - 1) % 256

    def loss(self, now: float) -> float:
        """Fraction lost over the last 5 s."""
        window = self._window
        while len(window) > 1 and now - window[0][0] > LOSS_WINDOW:
            self._missed -= window.popleft()[1]
        lost = max(0, self._missed)
        return lost / (len(window) + lost) if window else 0.0
