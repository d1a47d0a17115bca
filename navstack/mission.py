"""A flight on an autopilot: from connecting to handing over, around the closed loop.

The clock, the camera and the link are given, so a mission runs alike on a vehicle and in simulated time.
Who flies is always asked of the link, never remembered: the link believes the autopilot's heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from navstack.autopilot.link import Authority, AutopilotLink, Finding, LinkEventKind, LinkStatus
from navstack.errors import InputError
from navstack.flight import Clock, FlightSummary, FrameSource, Loop, Policy, Tick
from navstack.link_vehicle import LinkVehicle, link_facts
from navstack.safety import Demand, Guard
from navstack.telemetry import ENGAGED, Note, Record

CONNECT_WITHIN = 30.0  # s
LOOK_EVERY = 0.2  # s between two looks at the link for page and log
OFFER_EVERY = 2.0  # s between two offers to fly
REFUSED_FOR = 3.0  # s that a refusal must last to end the flight before it began
HAND_OVER_WITHIN = 3.0  # s that a stop waits for the autopilot to confirm its hold
GRAVE = {
    LinkEventKind.ENDED, LinkEventKind.HOLD, LinkEventKind.LAND, LinkEventKind.RETURN, LinkEventKind.REFUSED,
    LinkEventKind.SETPOINT_WITHHELD, LinkEventKind.RIVAL, LinkEventKind.LINK_LOST, LinkEventKind.AUTOPILOT,
    LinkEventKind.REBOOTED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MissionOptions:
    """How a flight goes."""

    dry: bool = False  # run everything, send nothing
    takeoff: float | None = None  # m, by the autopilot, before engaging
    seconds: float | None = None  # s of flying, after which it holds, then lands
    offers: bool = True  # offer to fly again after the authority ended (the pilot's switch decides)
    watch: float = 600.0  # s to go on watching after the authority ended, until it has landed


@dataclass(slots=True)
class MissionSummary:
    """How a flight went."""

    outcome: str = ""  # one line
    flew: float = 0.0  # s in command
    engagements: int = 0
    loop: FlightSummary = field(default_factory=FlightSummary)


class Mission:
    """One flight. `connect`, then `run`.

    Args:
        link: to the autopilot; nothing has been asked of it yet.
        camera: the frame source.
        clock: of all three.
        policy: what flies.
        make_guard: the guard, given how long (s) the autopilot flies on without us.
        options: how the flight goes.
        tell: is told of every turn and returns what became of those who watch.
    """

    def __init__(
        self,
        link: AutopilotLink,
        camera: FrameSource,
        clock: Clock,
        policy: Policy,
        make_guard: Callable[[float], Guard],
        options: MissionOptions,
        tell: Callable[[Record], tuple[Note, ...]],
    ) -> None:
        self.link, self.camera, self.clock = link, camera, clock
        self.policy, self.options, self.summary = policy, options, MissionSummary()
        self._make_guard, self._tell = make_guard, tell
        self.vehicle = LinkVehicle(link, options.dry)
        self._notes: list[Note] = []
        self._looked = self._offered = self._reset = float("-inf")
        self._ended: float | None = None
        self._engaged_at = 0.0
        self._landed = self._airborne = self._taking_off = False
        self._last_demand = Demand.FLY
        self._late, self._late_told = 0, float("-inf")

    def connect(self) -> tuple[Finding, ...]:
        """Wait for the autopilot, its state and parameters, and a first frame; what was found before flight.

        Raises InputError that names what does not come.
        """
        deadline, frame, missing = self.clock.now() + CONNECT_WITHIN, None, "heartbeat of an autopilot"
        while self.clock.now() < deadline:
            frame = self.camera.wait(self.clock.now() + 0.02) or frame
            status, findings = self.vehicle.poll(), self.link.preflight()
            if status.identity is None:
                missing = "heartbeat of an autopilot"
            elif not max(status.estimate.position_age, status.estimate.velocity_age) < float("inf"):
                why = f" ({status.estimate.flags})" if status.estimate.flags else ""
                missing = f"position and velocity of {status.identity}{why}"
            elif findings is None:
                missing = f"parameters of {status.identity}"
            elif frame is None:
                missing = "frame of the camera"
            else:
                self.guard = self._make_guard(status.silence_timeout or 1.0)
                self.loop = Loop(
                    self.policy, self.guard, self.camera, self.vehicle, self.clock,
                    autopilot=self.vehicle, ground=self._ground(status),
                )  # fmt: skip
                self.summary.loop = self.loop.summary
                return findings
        raise InputError(f"no {missing} within {CONNECT_WITHIN:g} s; navstack doctor looks for the reason")

    def run(self, stop: Callable[[], str | None] = lambda: None) -> MissionSummary:
        """Fly until it is over, or until `stop` gives a cause: then the autopilot holds.

        Raises InputError where the link refuses to begin (what is wrong and how to accept it).
        """
        self.begin()
        while not self.summary.outcome:
            cause = stop()
            if cause is not None:
                self._hand_over(cause)
                break
            self.turn()
        self._close_books()
        return self.summary

    def begin(self) -> None:
        """Take off, or offer to fly. Raises InputError as `run` does."""
        if self.options.dry:
            self.vehicle.engaged = True
            self._begin()
            return
        if self._low_battery():
            raise InputError(self._low_battery())
        height = self.options.takeoff
        if height is not None:
            self._insist(lambda: self.link.takeoff(height))
            self._taking_off = True
        else:
            self._airborne = True
            self._insist(self.link.engage)

    def _insist(self, ask: Callable[[], None]) -> None:
        """Ask; what is refused for a moment only (an attitude that is late) is asked for again."""
        deadline = self.clock.now() + REFUSED_FOR
        while True:
            try:
                ask()
            except InputError:
                if self.clock.now() > deadline:
                    raise
                self._turn()
            else:
                self._offered = self.clock.now()
                return

    def turn(self) -> Tick:
        """One turn of the loop, and what it means for the flight."""
        tick = self._turn()
        self._course(tick)
        return tick

    def hold(self, cause: str) -> None:
        """Hold now, by the autopilot: what the page's button asks for."""
        self._note("mission", f"hold: {cause}", warning=True)
        if not self.options.dry:
            self.link.hold(cause)

    # --- one turn -----------------------------------------------------------------------------------------

    def _turn(self) -> Tick:
        tick = self.loop.turn()
        assert tick is not None
        for event in self.vehicle.take_events():
            self._notes.append(Note(event.time, "link", f"{event.kind}: {event.cause}", event.kind in GRAVE))
            self._landed = self._landed or event.kind in (LinkEventKind.LANDED, LinkEventKind.DISARMED)
            self._airborne = self._airborne or event.kind is LinkEventKind.AIRBORNE
        self._late += tick.late and self.vehicle.engaged
        if self._late and tick.time - self._late_told >= 1.0:
            self._note("loop", f"missed deadlines: {self._late} commands left late")
            self._late, self._late_told = 0, tick.time
        if tick.demand > self._last_demand and self.vehicle.engaged:
            self._note("guard", f"{tick.demand.name.lower().replace('_', ' ')} demanded", warning=True)
        self._last_demand = tick.demand
        facts = None
        if tick.time - self._looked >= LOOK_EVERY:
            self._looked, facts = tick.time, link_facts(self.link.status())
        notes, self._notes = tuple(self._notes), []
        self._notes += self._tell(Record(tick, facts, notes))
        return tick

    def _course(self, tick: Tick) -> None:
        """What the turn means for the flight."""
        now, status = tick.time, self.link.status()
        if self.options.dry:
            if self._time_is_over(now):
                self.summary.outcome = "dry run: nothing was sent"
            return
        if status.authority.flies and not self.vehicle.engaged:
            self._begin()
        elif self.vehicle.engaged and not status.authority.flies:
            self._end(now, status)
        elif self.vehicle.engaged and self._time_is_over(now):
            self.hold(f"the flight's {self.options.seconds:g} s are over")
        elif not self.vehicle.engaged:
            self._between(now, status, tick)

    def _begin(self) -> None:
        """Authority is ours: policy and guard begin here."""
        self.loop.engage(self._ground(self.link.status()))
        self.vehicle.engage()
        self._engaged_at, self._ended, self._landed = self.clock.now(), None, False
        self.summary.engagements += 1
        self._note("mission", ENGAGED)

    def _end(self, now: float, status: LinkStatus) -> None:
        """Authority is not ours any more."""
        self.vehicle.engaged = False
        self.summary.flew += now - self._engaged_at
        self._ended = now
        self._note("mission", f"no longer in command: {status.authority}", warning=True)

    def _between(self, now: float, status: LinkStatus, tick: Tick) -> None:
        """Not in command: take off, offer, or watch what we handed over."""
        if self._taking_off:
            if status.authority is Authority.ENDED:
                self.summary.outcome = "the take-off was ended by somebody else"
            elif self._airborne:
                self._taking_off = False
                self._insist(self.link.engage)
            return
        if self._ended is not None:
            if self._landed or (status.mode is not None and not status.mode.armed):
                self.summary.outcome = "landed"
            elif now - self._ended > self.options.watch:
                self.summary.outcome = f"handed over: {status.authority}"
        offerable = status.authority in (Authority.NONE, Authority.ENDED)
        if (
            offerable
            and not self.summary.outcome
            and self.options.offers
            and now - self._offered >= OFFER_EVERY
        ):
            if not self._ready(tick):
                if now - self._reset >= OFFER_EVERY:  # what the guard remembers is of before
                    self._reset = now
                    self.loop.engage(self._ground(status))
            else:
                self._offer()
        elif status.authority is Authority.OFFERED and tick.demand > Demand.FLY:
            if status.mode is not None and status.mode.armed:
                self.link.release("the guard would not let it fly")
            else:  # it stands on the ground, and is judged when it flies
                self.loop.engage(self._ground(status))

    def _ready(self, tick: Tick) -> bool:
        """Whether the guard would let it fly: only then is it offered."""
        actions = self.loop.guard_actions.values()
        return tick.demand is Demand.FLY and "hover" not in actions and not self._low_battery()

    def _low_battery(self) -> str:
        """What the guard would stop for after a while only; empty where there is enough."""
        charge, least = self.vehicle.health().battery, self.guard.config.battery_hold
        if charge is None or charge >= least:
            return ""
        return f"the battery is at {100 * charge:.0f}%; the guard holds below {100 * least:.0f}%"

    def _offer(self) -> None:
        """Offer to fly again; a refusal is noted."""
        self._offered = self.clock.now()
        try:
            self.link.engage()
        except InputError as error:
            self._note("mission", f"not offered: {error}", warning=True)

    def _time_is_over(self, now: float) -> bool:
        return self.options.seconds is not None and now - self._engaged_at >= self.options.seconds

    # --- the end ------------------------------------------------------------------------------------------

    def _hand_over(self, cause: str) -> None:
        """Have the autopilot hold, and wait until its heartbeat says so."""
        if self.options.dry or not (self.vehicle.engaged or self._taking_off):
            self.link.release(cause)
            self.summary.outcome = f"stopped by {cause}; it was not in command"
            return
        before = self.link.status().mode
        self.link.hold(cause)
        if self.link.status().hold_is_ours:
            self._fly_down(cause)
            return
        deadline = self.clock.now() + HAND_OVER_WITHIN
        while self.clock.now() < deadline:
            self._turn()
            mode = self.link.status().mode
            if mode is not None and before is not None and mode.number != before.number:
                self.summary.outcome = f"stopped by {cause}; handed over: the autopilot is in {mode.name}"
                break
        else:
            self.summary.outcome = (
                f"stopped by {cause}; hold was asked for but not confirmed within {HAND_OVER_WITHIN:g} s:"
                " the autopilot's own failsafe or the pilot takes over now"
            )
        self._turn()

    def _fly_down(self, cause: str) -> None:
        """Hold and land by our own loop, for firmware that has no hold, unless the pilot takes over."""
        self._note("mission", "this program holds and lands it, unless the pilot takes over", warning=True)
        self._landed, deadline = False, self.clock.now() + self.options.watch
        while not self._landed and self.link.status().authority not in (Authority.NONE, Authority.ENDED):
            if self.clock.now() > deadline:
                self.summary.outcome = f"stopped by {cause}; it has not landed, the watchdog goes on"
                return
            self._turn()
        how = "landed" if self._landed else "the pilot has taken over"
        self.summary.outcome = f"stopped by {cause}; {how}"

    def _close_books(self) -> None:
        if self.vehicle.engaged and not self.options.dry:
            self.summary.flew += self.clock.now() - self._engaged_at
        self.vehicle.engaged = False

    def _ground(self, status: LinkStatus) -> float:
        return 0.0 if status.home_enu is None else status.home_enu[2]

    def _note(self, source: str, text: str, warning: bool = False) -> None:
        self._notes.append(Note(self.clock.now(), source, text, warning))
