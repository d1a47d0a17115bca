"""The conversation with a Betaflight board: channels, one question at a time, and the probing of the mask.

Betaflight takes one request at a time, at most 100 a second (src/main/fc/tasks.c, its serial task; 56 were
measured in its simulator), and what comes faster waits in a queue that only grows: so at most one frame of
channels, the attitude and one other question are open.
"""

from __future__ import annotations

import math

from navstack.autopilot import msp
from navstack.autopilot.board import Board
from navstack.autopilot.sticks import followers, probe
from navstack.autopilot.transport import Transport

PERIODS = {  # command -> s between requests
    msp.ATTITUDE: 0.08, msp.STATUS: 0.2, msp.RC: 0.5, msp.BATTERY_STATE: 1.0,
}  # fmt: skip
ONCE = (
    msp.FC_VARIANT, msp.FC_VERSION, msp.BOXIDS, msp.MODE_RANGES, msp.FAILSAFE_CONFIG, msp.RC_TUNING,
    msp.PID_ADVANCED, msp.BATTERY_CONFIG,
)  # fmt: skip
RETRY = 0.5  # s
UNANSWERED = 0.3  # s after which the next request is made
PROBE_SETTLES = 0.1  # s from channels that were taken to reading them back
PROBES = 4


class Dialogue:
    """Asks, listens, and sends channels. Never waits."""

    def __init__(self, transport: Transport, now: float) -> None:
        self.board = Board()
        self.heard = now  # s
        self.received = self.sent = 0
        self.slowest = (
            0.0  # s, the longest that sticks waited for their answer; who starts a measurement zeroes it
        )
        self.follow: set[int] | None = None  # channels that the override moves; None until probed
        self._transport, self._parser = transport, msp.Parser()
        self._due = dict.fromkeys((*ONCE, *PERIODS), -math.inf)
        self._open: dict[int, float] = {}  # requests that wait for their answer, and when they were made, s
        self._question: int | None = None  # the newest but channels and attitude
        self._pending: tuple[int, ...] | None = None  # channels to send next
        self._probe_turn, self._probe_time = 0, -math.inf
        self._probed: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    @property
    def corrupted(self) -> int:
        """Pieces of the stream that were no answer."""
        return self._parser.corrupted

    @property
    def untold(self) -> list[int]:
        """The settings that the board has not told yet."""
        return [command for command in ONCE if command not in self.board.told]

    def listen(self, now: float) -> None:
        """Take what has arrived."""
        for piece in self._transport.read():
            for reply in self._parser.feed(piece):
                self.heard, self.received = now, self.received + 1
                asked = self._open.pop(reply.command, None)
                if asked is not None and reply.command == msp.SET_RAW_RC:
                    self.slowest = max(self.slowest, now - asked)
                self.board.take(reply, now)

    def work(self, now: float) -> None:
        """Send the channels that wait, ask for the attitude, and make the most overdue other question.

        Each where those before are answered: a loop that looks but once a frame would otherwise have its
        questions wait behind the channels, and the attitude behind the questions.
        """
        if self._pending is not None and self._free(msp.SET_RAW_RC, now):
            self._request(msp.SET_RAW_RC, msp.encode_channels(self._pending), now)
            self._pending = None
        if self._due[msp.ATTITUDE] <= now and self._free(msp.ATTITUDE, now):
            self._ask(msp.ATTITUDE, now)
        if self._question is not None and not self._free(self._question, now):
            return
        due = {
            command: time for command, time in self._due.items()
            if command != msp.ATTITUDE and not (command in ONCE and command in self.board.told)
        }  # fmt: skip
        command = min(due, key=due.__getitem__)
        if due[command] <= now:
            self._question = command
            self._ask(command, now)

    def stick(self, channels: tuple[int, ...], now: float) -> None:
        """Send these channels as soon as those before are answered; newer ones take their place."""
        self._pending = channels
        self.work(now)

    def probe(self, now: float) -> None:
        """On the ground, disarmed and overridden: find out which channels follow."""
        board = self.board
        safe = not board.active(msp.BOX_ARM) and board.active(msp.BOX_MSP_OVERRIDE) and board.flags_known
        if self.follow is not None or not safe:
            return
        if self._probe_turn:
            if self._pending is not None or msp.SET_RAW_RC in self._open:
                self._probe_time = now  # a slow board has not taken them yet
                if self._free(msp.SET_RAW_RC, now):  # their answer was lost
                    self.stick(probe(self._probe_turn), now)
            if board.channels_time - self._probe_time < PROBE_SETTLES:
                return
            self._probed.append((probe(self._probe_turn), board.channels))
        if len(self._probed) == PROBES:
            self.follow = followers(self._probed)
            return
        self._probe_time, self._probe_turn = now, self._probe_turn + 1
        self.stick(probe(self._probe_turn), now)

    def forget_probe(self) -> None:
        """Probe again: the mask may have been set otherwise since."""
        self.follow, self._probe_turn, self._probed = None, 0, []

    def _free(self, command: int, now: float) -> bool:
        """Whether a request like this one is answered, or given up."""
        asked = self._open.get(command)
        if asked is not None and command == msp.SET_RAW_RC and now - asked >= UNANSWERED:
            self.slowest = max(self.slowest, now - asked)
        return asked is None or now - asked >= UNANSWERED

    def _ask(self, command: int, now: float) -> None:
        self._due[command] = now + PERIODS.get(command, RETRY)
        self._request(command, msp.encode(command), now)

    def _request(self, command: int, data: bytes, now: float) -> None:
        self._open[command] = now
        self.sent += self._transport.write(data)
