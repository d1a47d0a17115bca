"""One request at a time, repeated until its effect is seen, with what the autopilot answers to it."""

from __future__ import annotations

from dataclasses import dataclass

from pymavlink.dialects.v20 import ardupilotmega as dialect

REPEAT = 0.5  # s
_GOOD = (dialect.MAV_RESULT_ACCEPTED, dialect.MAV_RESULT_IN_PROGRESS)


def result_name(result: int) -> str:
    """MAV_RESULT in words."""
    entry = dialect.enums["MAV_RESULT"].get(result)
    return entry.name.removeprefix("MAV_RESULT_").lower().replace("_", " ") if entry else f"result {result}"


@dataclass(frozen=True, slots=True)
class Ask:
    """A MAV_CMD and what it is for."""

    command: int
    what: str
    value: float = 0.0  # the mode's number, 1 to arm, height in m

    @classmethod
    def mode(cls, number: int) -> Ask:
        """Change the mode."""
        return cls(dialect.MAV_CMD_DO_SET_MODE, "mode", float(number))

    @classmethod
    def arm(cls) -> Ask:
        """Arm."""
        return cls(dialect.MAV_CMD_COMPONENT_ARM_DISARM, "arming", 1.0)

    @classmethod
    def takeoff(cls, height: float) -> Ask:
        """Take off to a height in m."""
        return cls(dialect.MAV_CMD_NAV_TAKEOFF, "take-off", height)


class Asking:
    """The request that stands."""

    def __init__(self, confirm_seconds: float) -> None:
        self._confirm = confirm_seconds
        self._ask: Ask | None = None
        self._began = self._sent = 0.0
        self._told = False

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for."""
        return self._ask is None

    def ask(self, ask: Ask, now: float) -> None:
        """Ask for this from now on, in place of what stood."""
        if self._ask != ask:
            self._ask, self._began, self._sent, self._told = ask, now, now - REPEAT, False

    def drop(self) -> None:
        """Its effect was seen, or it is no longer wanted."""
        self._ask = None

    def due(self, now: float) -> Ask | None:
        """The request, where it must leave now."""
        if self._ask is None or now - self._sent < REPEAT - 1e-9:
            return None
        self._sent = now
        return self._ask

    def overdue(self, now: float) -> list[str]:
        """Once, that the effect was not seen in time; it is asked for further."""
        if self._ask is None or self._told or now - self._began < self._confirm:
            return []
        self._told = True
        return [f"{self._ask.what} is not confirmed within {self._confirm:g} s; asking on"]

    def answer(self, command: int, result: int) -> str:
        """What was refused, in words; empty where it was not, or is not what is asked for."""
        ask = self._ask
        if ask is None or ask.command != command or result in _GOOD:
            return ""
        return f"{ask.what}: the autopilot answers '{result_name(result)}'"
