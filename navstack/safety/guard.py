"""The guard: between policy and vehicle, trusting neither."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from navstack.contract import ZERO_COMMAND, Frame, Limits, PolicyCard, VehicleState, VelocityCommand
from navstack.safety.battery import Battery
from navstack.safety.blank import BlankFrames
from navstack.safety.boundaries import OutsideBoundaries, WithinBoundaries
from navstack.safety.braking import EmergencyBraking
from navstack.safety.distance import DistanceFromHome
from navstack.safety.estimate import Estimate
from navstack.safety.finite import Finite
from navstack.safety.following import Following
from navstack.safety.frame_age import FrameAge
from navstack.safety.frozen import FrozenFrames
from navstack.safety.limits import WithinLimits
from navstack.safety.link_quality import LinkQuality
from navstack.safety.override import PilotOverride
from navstack.safety.rates import WithinRates
from navstack.safety.rule import DEMANDS, Demand, GuardConfig, Moment, Row, Rule, VehicleHealth
from navstack.safety.uncertainty import Uncertainty


class RuleType(Protocol):
    """A class of rule: its row stands on the class, and the configuration makes one."""

    row: Row

    def __call__(self, config: GuardConfig) -> Rule:
        """The rule with its numbers."""
        ...


ORDER: tuple[RuleType, ...] = (
    Finite, FrameAge, FrozenFrames, BlankFrames, Uncertainty, LinkQuality, Battery, DistanceFromHome,
    OutsideBoundaries, WithinLimits, WithinRates, WithinBoundaries, EmergencyBraking, Following, Estimate,
    PilotOverride,
)  # fmt: skip
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
    demand: Demand = Demand.FLY  # the highest of all rules: what the autopilot is to be asked for


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
        self,
        command: VelocityCommand,
        frame_age: float,
        state: VehicleState,
        now: float,
        *,
        frame: Frame | None = None,
        uncertainty: float | None = None,
        health: VehicleHealth | None = None,
    ) -> GuardDecision:
        """What may be sent at `now` (s), given a frame of this age (s) and the vehicle's state.

        `frame` is the frame of this turn, if one came; `uncertainty` (0..1) the policy's own, where it offers
        one; `health` what an autopilot says of itself, without which the rules about it are silent.
        """
        step = max(0.0, min(LONGEST_STEP, now - self._last))
        moment = Moment(now, step, frame_age, state, self._home, self._previous, frame, uncertainty, health)
        events: tuple[GuardEvent, ...] = ()
        demand = Demand.FLY
        for index, rule in enumerate(self.rules):
            command, action = rule.apply(command, moment)
            if action:
                demand = max(demand, DEMANDS.get(action, Demand.FLY))
            if action != self._actions[index]:
                self._actions[index] = action
                events = (*events, GuardEvent(now, rule.row.name, action))
        self._previous, self._last = command, now
        return GuardDecision(command, events, demand)

    @property
    def actions(self) -> dict[str, str]:
        """Rule by rule, what is being done to the command now; rules that do nothing are left out."""
        pairs = zip(self.rules, self._actions, strict=True)
        return {rule.row.name: action for rule, action in pairs if action}


def guard_for(
    card: PolicyCard,
    config: GuardConfig | None = None,
    limits: Limits | None = None,
    latency: float | None = None,
) -> Guard:
    """The guard for a policy: its limits and the longest dt that it was trained for come from its card.

    `limits` narrow the card's; `latency` (s) is the camera's own, in place of the one trained for.
    """
    config, allowed = config or GuardConfig(), card.limits
    if limits is not None:
        allowed = Limits(
            min(allowed.forward, limits.forward), min(allowed.left, limits.left),
            min(allowed.up, limits.up), min(allowed.yaw_rate, limits.yaw_rate),
        )  # fmt: skip
    latency = card.camera.latency if latency is None else latency
    return Guard(replace(config, limits=allowed, longest_dt=card.dt_max, latency=latency))


def rule_table() -> str:
    """The guard's table in Markdown, from the rules themselves."""
    lines = ["| priority | rule | condition | time | action | recovers |", "|---|---|---|---|---|---|"]
    for priority, rule in enumerate(ORDER, 1):
        row = rule.row
        cells = (str(priority), row.name, row.condition, row.time, row.action, row.recovers)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
