"""The guard: between policy and vehicle, trusting neither."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from navstack.contract import ZERO_COMMAND, PolicyCard, VehicleState, VelocityCommand
from navstack.safety.boundaries import WithinBoundaries
from navstack.safety.finite import Finite
from navstack.safety.frame_age import FrameAge
from navstack.safety.limits import WithinLimits
from navstack.safety.rates import WithinRates
from navstack.safety.rule import GuardConfig, Moment, Row, Rule


class RuleType(Protocol):
    """A class of rule: its row stands on the class, and the configuration makes one."""

    row: Row

    def __call__(self, config: GuardConfig) -> Rule:
        """The rule with its numbers."""
        ...


ORDER: tuple[RuleType, ...] = (Finite, FrameAge, WithinLimits, WithinRates, WithinBoundaries)
"""First to last: each rule sees what the one before let through, so the last has the final word."""

LONGEST_STEP = 0.2  # s: a loop that stood still must not make up for it with one large change


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """A rule began, changed or ended its action."""

    time: float  # s
    rule: str
    action: str  # empty where it ended


class GuardDecision(NamedTuple):
    """What leaves the guard."""

    command: VelocityCommand
    events: tuple[GuardEvent, ...]


class Guard:
    """The rules in their order, for one flight at a time."""

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.rules = tuple(rule(config) for rule in ORDER)
        self._actions = [""] * len(self.rules)
        self._previous, self._last, self._home = ZERO_COMMAND, 0.0, (0.0, 0.0, 0.0)

    def reset(self, state: VehicleState, ground: float = 0.0) -> None:
        """Engage here: the fence is around this place, ceiling and, where the vehicle does not measure its
        height, floor are above `ground` (m, ENU)."""
        x, y, _ = state.position_enu
        self._home, self._previous, self._last = (x, y, ground), ZERO_COMMAND, state.time
        self._actions = [""] * len(self.rules)
        for rule in self.rules:
            rule.reset()

    def apply(
        self, command: VelocityCommand, frame_age: float, state: VehicleState, now: float
    ) -> GuardDecision:
        """What may be sent at `now` (s), given a frame of this age (s) and the vehicle's state."""
        step = max(0.0, min(LONGEST_STEP, now - self._last))
        moment = Moment(now, step, frame_age, state, self._home, self._previous)
        events: tuple[GuardEvent, ...] = ()
        for index, rule in enumerate(self.rules):
            command, action = rule.apply(command, moment)
            if action != self._actions[index]:
                self._actions[index] = action
                events = (*events, GuardEvent(now, rule.row.name, action))
        self._previous, self._last = command, now
        return GuardDecision(command, events)


def guard_for(card: PolicyCard, config: GuardConfig | None = None) -> Guard:
    """The guard for a policy: its limits and the longest dt that it was trained for come from its card."""
    config = config or GuardConfig()
    return Guard(replace(config, limits=card.limits, longest_dt=card.dt_max, latency=card.camera.latency))


def rule_table() -> str:
    """The guard's table in Markdown, from the rules themselves."""
    lines = ["| priority | rule | condition | time | action | recovers |", "|---|---|---|---|---|---|"]
    for priority, rule in enumerate(ORDER, 1):
        row = rule.row
        cells = (str(priority), row.name, row.condition, row.time, row.action, row.recovers)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
