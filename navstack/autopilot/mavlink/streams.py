"""Asking the autopilot for the messages that we need at the rates that we need, and for its version."""

from __future__ import annotations

import math
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Identity
from navstack.autopilot.mavlink import messages

RETRY = 1.0  # s
TRIES = 5
OURS = (dialect.MAV_CMD_SET_MESSAGE_INTERVAL, dialect.MAV_CMD_REQUEST_MESSAGE)


class Streams:
    """Asks for each interval until one answer for each came, or five tries each were in vain."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.again()

    def again(self) -> None:
        """Ask for everything once more: the autopilot rebooted."""
        wanted = {
            **messages.STREAMS,
            messages.ESTIMATOR[self._identity.firmware]: messages.ESTIMATOR_INTERVAL,
        }
        self._waiting = list(wanted.items())
        self._current: tuple[int, int] | None = None
        self._tries, self._asked_at = 0, -math.inf
        self._version_tries, self._version_at = 0, -math.inf

    def version_done(self, known: bool) -> bool:
        """Whether the version is known, or was asked for in vain often enough."""
        return known or self._version_tries >= TRIES

    def answer(self, message: Any) -> bool:
        """A COMMAND_ACK: whether it answers one of these requests. They are made one after the other."""
        if message.command not in OURS:
            return False
        if message.command == dialect.MAV_CMD_SET_MESSAGE_INTERVAL:
            self._current = None
        return True

    def due(self, now: float, version_known: bool) -> list[Any]:
        """The requests to make now."""
        out = []
        if not version_known and self._version_tries < TRIES and now - self._version_at >= RETRY:
            self._version_tries, self._version_at = self._version_tries + 1, now
            out.append(messages.request_message(self._identity, dialect.MAVLINK_MSG_ID_AUTOPILOT_VERSION))
        if self._current is None and self._waiting:
            self._current, self._tries, self._asked_at = self._waiting.pop(0), 0, -math.inf
        if self._current is not None and now - self._asked_at >= RETRY / 2.0:
            if self._tries == TRIES:
                self._current = None
                return out
            self._tries, self._asked_at = self._tries + 1, now
            out.append(messages.message_interval(self._identity, *self._current))
        return out
