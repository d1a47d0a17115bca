"""One flight of a policy through the real Betaflight firmware: stand, pilot, override, policy, judge."""

from __future__ import annotations

from dataclasses import dataclass, field

from navstack.autopilot.betaflight import BetaflightLink
from navstack.autopilot.link import Authority, LinkConfig, LinkEvent
from navstack.autopilot.transport import TcpTransport
from navstack.autopilot.watchdog import Watchdog
from navstack.contract import Frame, VehicleState, VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl.betaflight import ANGLE, ARM, MSP_PORT, OFF, ON, OVERRIDE, BetaflightBody
from navstack.errors import InputError
from navstack.flight import FlightSummary, Policy, fly
from navstack.safety import guard_for

BOOT_SECONDS = 8.0  # s for the firmware to be ready to arm
PROBE_SECONDS = 10.0
GRACE_SECONDS = 7.0  # s after the start in which it does not arm (src/main/fc/core.c, BOOT_GRACE)
ARM_SECONDS = 3.0
ENGAGE_SECONDS = 10.0
THROTTLE = 2  # channel
LATE = 10  # physics steps behind real time in one flight, and
SLOW = (
    0.1  # s that sticks waited for the firmware's answer (13 ms as a rule): beyond, the machine was too busy
)


@dataclass(slots=True)
class FirmwareFlight:
    """Body, link and pilot of one flight: the camera, vehicle and clock of the closed loop.

    Everything runs on the body's clock, which keeps real time, and in one thread: while the loop waits for a
    frame, physics goes on and the link is polled.
    """

    body: BetaflightBody
    link: BetaflightLink
    events: list[LinkEvent] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    @classmethod
    def begin(cls, environment: NavigationEnv, seed: int, config: LinkConfig | None = None) -> FirmwareFlight:
        """The vehicle on its stand, and the link to a firmware that runs; a watchdog watches."""
        made: list[FirmwareFlight] = []

        def between() -> None:
            if made:
                made[0].events.extend(made[0].link.poll())

        body = BetaflightBody(environment, seed, between)
        transport = TcpTransport("127.0.0.1", MSP_PORT)
        link = BetaflightLink(transport, body, config, body, watchdog=Watchdog(transport.fileno()))
        made.append(cls(body, link))
        return made[0]

    def engage(self) -> None:
        """What pilot and link do before the policy flies. Raises InputError where the link refuses."""
        channels, active = self.body.channels, lambda: self.link.status().mode
        self._until(lambda: active() is not None, BOOT_SECONDS, "the firmware says nothing")
        self._until(lambda: self.link.preflight() is not None, BOOT_SECONDS, "the firmware tells no settings")
        self.body.fly(2.0)
        self.link.engage()
        channels[OVERRIDE] = ON
        self._until(lambda: self.link.follow is not None, PROBE_SECONDS, "the mask could not be probed")
        channels[OVERRIDE], channels[ANGLE] = OFF, ON
        self.body.fly(max(1.0, GRACE_SECONDS - self.now()))
        channels[ARM] = ON
        self._until(lambda: bool(active() and active().armed), ARM_SECONDS, "it does not arm")  # type: ignore[union-attr]
        channels[THROTTLE] = 1000 + round(1000 * self.body.hover_throttle)
        self.body.fly(1.3)
        channels[OVERRIDE] = ON
        flying = (Authority.TESTING, Authority.HELD)
        self._until(lambda: self.link.status().authority in flying, 3.0, "the override does not engage")
        self.body.release()
        self._until(
            lambda: self.link.status().authority not in (Authority.OFFERED, Authority.TESTING),
            ENGAGE_SECONDS, "the self-test does not end",
        )  # fmt: skip
        if not self.link.status().authority.flies:
            raise InputError(f"not engaged: {self.events[-1].cause}")
        self.frames.clear()
        self.body.late = 0
        self.link.reset_slowest()
        self.body.begin_task()

    def _until(self, condition: object, seconds: float, otherwise: str) -> None:
        assert callable(condition)
        end = self.body.now() + seconds
        while not condition():
            if self.body.now() > end:
                causes = "; ".join(event.cause for event in self.events)
                causes += f"; slowest answer {self.link.slowest:.2f} s, {self.body.late} physics steps late"
                causes += f"; arming: {[f.found for f in self.link.preflight() or () if f.what == 'arming']}"
                raise InputError(f"{otherwise} within {seconds:g} s ({causes})")
            self.body.fly(0.05)

    @property
    def void(self) -> str:
        """Why the flight says nothing because the machine was too busy for it; empty where it was not."""
        if self.body.late > LATE:
            return f"{self.body.late} physics steps came late"
        if self.link.slowest > SLOW:
            return f"sticks waited {self.link.slowest:.2f} s for the firmware"
        return ""

    @property
    def finished(self) -> bool:
        """Whether the flight is decided, or taken from us."""
        return self.body.outcome is not None or not self.link.status().authority.flies

    def now(self) -> float:
        """s of simulated time, which keeps real time."""
        return self.body.now()

    def wait(self, deadline: float) -> Frame | None:
        """The next frame, or None at the deadline."""
        while not self.frames and self.now() < deadline and not self.finished:
            self.frames += self.body.fly(min(1.0 / 120.0, max(1.0 / 240.0, deadline - self.now())))
        return self.frames.pop(0) if self.frames else None

    def state(self) -> VehicleState:
        """What the link reports."""
        return self.link.state()

    def send(self, command: VelocityCommand) -> None:
        """Through the link."""
        self.link.send(command)

    def close(self) -> None:
        """Close link and sockets."""
        self.link.close()
        self.body.close()


def fly_policy(policy: Policy, environment: NavigationEnv, seed: int) -> tuple[FirmwareFlight, FlightSummary]:
    """One guarded flight of a policy by a firmware that was just started; close what is returned."""
    flight = FirmwareFlight.begin(environment, seed)
    try:
        flight.engage()
        guard = guard_for(policy.card)
        summary = fly(policy, guard, flight, flight, flight, finished=lambda: flight.finished)
    except BaseException:
        flight.close()
        raise
    return flight, summary
