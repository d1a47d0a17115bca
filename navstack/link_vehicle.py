"""An autopilot's link as the vehicle of the closed loop, and as page and log show it."""

from __future__ import annotations

from dataclasses import replace

from navstack.autopilot.link import Authority, AutopilotLink, LinkEvent, LinkStatus
from navstack.contract import ZERO_COMMAND, VehicleState, VelocityCommand
from navstack.safety import Demand, VehicleHealth
from navstack.telemetry import LinkFacts


class LinkVehicle:
    """A link as the loop's vehicle: commands reach it only while the mission says that it is engaged."""

    def __init__(self, link: AutopilotLink, dry: bool) -> None:
        self.link, self.dry = link, dry
        self.engaged = False
        self._events: list[LinkEvent] = []
        self._obeyed = Demand.FLY

    def poll(self) -> LinkStatus:
        """Read what came; the facts as of now."""
        self._events += self.link.poll()
        return self.link.status()

    def take_events(self) -> list[LinkEvent]:
        """What happened since the last time."""
        events, self._events = self._events, []
        return events

    def engage(self) -> None:
        """From now on commands are flown and demands obeyed."""
        self.engaged, self._obeyed = True, Demand.FLY

    def health(self) -> VehicleHealth:
        """What the autopilot says of itself."""
        status = self.poll()
        estimate, statistics = status.estimate, status.statistics
        return VehicleHealth(
            estimate_ok=estimate.flags_ok is not False,
            state_age=max(estimate.position_age, estimate.velocity_age, estimate.attitude_age),
            battery=status.battery.remaining,
            silence=statistics.silence,
            heartbeat_age=statistics.heartbeat_age,
            lost_messages=statistics.loss,
            in_command=self.dry or not self.engaged or status.authority is not Authority.ENDED,
        )

    def state(self) -> VehicleState:
        """The newest state, with the rangefinder's height where there is one."""
        state = self.link.state()
        height = self.link.status().height_above_ground
        return state if height is None else replace(state, height=height)

    def send(self, command: VelocityCommand) -> None:
        """The command where engaged, else what keeps the offer alive: the link knows whether to send it."""
        if not self.dry:
            self.link.send(command if self.engaged else ZERO_COMMAND)

    def obey(self, demand: Demand, cause: str) -> None:
        """Ask the autopilot, once for each higher demand."""
        if self.dry or not self.engaged or demand <= self._obeyed:
            return
        self._obeyed = demand
        if demand is Demand.HOLD:
            self.link.hold(cause)
        elif demand is Demand.LAND:
            self.link.land(cause)


def link_facts(status: LinkStatus) -> LinkFacts:
    """What page and log show of a link."""
    mode, statistics = status.mode, status.statistics
    age = statistics.heartbeat_age
    return LinkFacts(
        authority=str(status.authority),
        mode="" if mode is None else mode.name,
        armed=mode is not None and mode.armed,
        landed=None if mode is None else mode.landed,
        battery=status.battery.remaining,
        voltage=status.battery.voltage,
        heartbeat_age=age if age < float("inf") else None,
        loss=statistics.loss,
        round_trip=statistics.round_trip,
        estimate_ok=status.estimate.flags_ok,
    )
