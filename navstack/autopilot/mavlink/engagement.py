"""Who flies: the course of authority, without bytes and without a clock of its own.

Rules (DESIGN of this project, after docs.px4.io flight_modes/offboard and ArduCopter/mode_guided.cpp): the
pilot's switch engages, the autopilot's heartbeat is believed and nothing else, any mode that we did not ask
for ends authority and the stream, and it is not taken back without a fresh switch.
"""

from __future__ import annotations

from dataclasses import dataclass

from navstack.autopilot.link import Authority, FlightMode, LinkConfig, LinkEvent, LinkEventKind
from navstack.autopilot.mavlink.asking import Ask, Asking
from navstack.autopilot.mavlink.firmware import Rules
from navstack.autopilot.mavlink.takeoff import TakeOff
from navstack.autopilot.selftest import SelfTest
from navstack.contract import ZERO_COMMAND, VehicleState, VelocityCommand

GIVE_UP = 10.0  # s of asking for the command mode in vain


@dataclass(frozen=True, slots=True)
class Facts:
    """What the state machine is told at every turn."""

    now: float  # s
    mode: FlightMode | None
    state: VehicleState | None  # None before one came
    unfit: str  # why no command may be flown now; empty where it may: estimate lost, attitude too old
    lost: bool  # the link


class Engagement:
    """The state machine. It asks through `asking`, and tells through `events`."""

    def __init__(self, rules: Rules, config: LinkConfig) -> None:
        self.rules, self.config = rules, config
        self.authority = Authority.NONE
        self.asking = Asking(config.confirm_seconds)
        self.events: list[LinkEvent] = []
        self._since = 0.0  # s, when this authority began
        self._mode: int | None = None
        self._entered = False  # the command mode was entered since the offer, or by our take-off
        self._used = False  # authority ended in it, and it was not left since
        self._test: SelfTest | None = None
        self._takeoff: TakeOff | None = None
        self._after_takeoff = False  # our own take-off led into the command mode, and it was not left since
        self._confirmed: float | None = None  # s, when what was asked for was confirmed
        self._withheld = ""

    # --- what the loop asks for -------------------------------------------------------------------------

    def engage(self, facts: Facts) -> None:
        """Offer to fly."""
        if self.authority in (Authority.OFFERED, Authority.TESTING, Authority.HELD):
            return
        if not self._after_takeoff:
            self._entered = False
        self._after_takeoff = False
        who = "waits for the pilot's switch" if self.config.engage == "pilot" else "will ask for the mode"
        self._become(Authority.OFFERED, facts.now, LinkEventKind.OFFERED, f"streams zeros and {who}")

    def takeoff(self, height: float, facts: Facts) -> None:
        """Let the autopilot climb."""
        assert facts.state is not None
        self._takeoff = TakeOff(self.rules, height, facts.state.position_enu[2], self.config.arm)
        self._become(Authority.TAKING_OFF, facts.now, LinkEventKind.TAKE_OFF, f"to {height:g} m")

    def hold(self, cause: str, facts: Facts) -> None:
        """Hand over to the autopilot's hold; where there is nothing to hold by, to its landing."""
        if facts.unfit.startswith("estimate"):
            self._hand_over(Authority.LANDING, f"{cause}; no hold without an estimate", facts)
        else:
            self._hand_over(Authority.HOLDING, cause, facts)

    def land(self, cause: str, facts: Facts) -> None:
        """Hand over to the autopilot's landing."""
        self._hand_over(Authority.LANDING, cause, facts)

    def return_home(self, cause: str, facts: Facts) -> None:
        """Hand over to the autopilot's return."""
        self._hand_over(Authority.RETURNING, cause, facts)

    def end(self, cause: str, now: float, kind: LinkEventKind = LinkEventKind.ENDED) -> None:
        """Stop at once: no stream, no asking."""
        if self.authority not in (Authority.NONE, Authority.ENDED):
            self._used = self._mode == self.rules.command
            self._become(Authority.ENDED, now, kind, cause)

    # --- what happens -----------------------------------------------------------------------------------

    def update(self, facts: Facts) -> None:
        """Take the facts of this turn."""
        mode, number = facts.mode, facts.mode.number if facts.mode else None
        if number != self._mode:
            self._entered = number == self.rules.command and self._mode is not None
            self._used = self._after_takeoff = False
            self._mode = number
        if mode is None or self.authority in (Authority.NONE, Authority.ENDED):
            return
        if facts.lost:
            self.end("link lost", facts.now)
            return
        if step := _STEPS.get(self.authority):
            step(self, facts, mode)
        for refused in self.asking.overdue(facts.now):
            self._tell(facts.now, LinkEventKind.REFUSED, refused)

    def answer(self, command: int, result: int, facts: Facts) -> None:
        """A COMMAND_ACK to one of ours. Only what is asked for now is listened to."""
        refusal = self.asking.answer(command, result)
        if self._takeoff is not None and self.authority is Authority.TAKING_OFF:
            self._takeoff.answer(command, result)
        if not refusal:
            return
        self._tell(facts.now, LinkEventKind.REFUSED, refusal)
        if self.authority in (Authority.HOLDING, Authority.RETURNING):
            self._hand_over(Authority.LANDING, f"{self.authority} was refused", facts)

    def setpoint(self, command: VelocityCommand, facts: Facts) -> VelocityCommand | None:
        """What leaves now in place of the policy's command; None: nothing does."""
        if self.authority is Authority.HELD:
            self._note_withheld(facts)
            return ZERO_COMMAND if facts.unfit else command
        if self.authority is Authority.TESTING and self._test is not None and facts.state is not None:
            return ZERO_COMMAND if facts.unfit else self._test.command(facts.state, facts.now)
        waiting = self._confirmed is None and self._mode == self.rules.command
        streams = self.authority is Authority.OFFERED or (self.authority in _HANDING_OVER and waiting)
        return ZERO_COMMAND if streams else None

    # --- steps ------------------------------------------------------------------------------------------

    def _offered(self, facts: Facts, mode: FlightMode) -> None:
        asks = self.config.engage == "self"
        granted = not self._used if asks else self._entered
        if mode.number == self.rules.command and mode.armed and granted:
            self.asking.drop()
            if self.config.self_test:
                self._test = SelfTest(facts.now)
                self._become(Authority.TESTING, facts.now, LinkEventKind.SELF_TEST, f"in {mode.name}")
            else:
                self._become(Authority.HELD, facts.now, LinkEventKind.ENGAGED, f"{mode.name}, no self-test")
            return
        waited = facts.now - self._since
        if asks and mode.number != self.rules.command:
            if waited > GIVE_UP:
                self.asking.drop()
                self.end(f"the autopilot did not take the mode within {GIVE_UP:g} s", facts.now)
            elif waited >= self.rules.stream_before and self.asking.idle:
                self.asking.ask(Ask.mode(self.rules.command), facts.now)

    def _testing(self, facts: Facts, mode: FlightMode) -> None:
        if self._left(facts, mode):
            return
        verdict = self._test.verdict if self._test else None
        if facts.unfit and verdict is None:
            verdict = facts.unfit
        if verdict == "":
            cause = f"self-test passed in {mode.name}"
            self._become(Authority.HELD, facts.now, LinkEventKind.ENGAGED, cause)
        elif verdict:
            self.hold(f"self-test failed: {verdict}", facts)

    def _held(self, facts: Facts, mode: FlightMode) -> None:
        self._left(facts, mode)

    def _left(self, facts: Facts, mode: FlightMode) -> bool:
        """End where somebody else changed the mode or disarmed."""
        if mode.number == self.rules.command and mode.armed:
            return False
        cause = f"the mode is {mode.name}: the pilot's or a failsafe's" if mode.armed else "disarmed"
        self.end(cause, facts.now)
        return True

    def _handing_over(self, facts: Facts, mode: FlightMode) -> None:
        wanted = self._wanted(self.authority)
        if self._confirmed is None:
            if mode.number == wanted or not mode.armed:
                self._confirmed = facts.now
                self.asking.drop()
            elif mode.number != self.rules.command and mode.number != self._handed_from:
                self.end(f"the mode is {mode.name}, which was not asked for", facts.now)
        elif mode.number != wanted and mode.armed:
            self.end(f"the mode is {mode.name}, which was not asked for", facts.now)
        elif not mode.armed:
            self._become(Authority.NONE, facts.now, LinkEventKind.ENDED, "disarmed on the ground")
        elif self.authority is Authority.HOLDING and facts.now - self._confirmed >= self.config.hold_seconds:
            after = {"land": Authority.LANDING, "return": Authority.RETURNING}[self.config.after_hold]
            self._hand_over(after, f"held for {self.config.hold_seconds:g} s", facts)

    def _taking_off(self, facts: Facts, mode: FlightMode) -> None:
        assert self._takeoff is not None
        self._takeoff.update(facts.now, mode, facts.state, self.asking)
        if self._takeoff.failure:
            self._become(Authority.ENDED, facts.now, LinkEventKind.REFUSED, self._takeoff.failure)
        elif self._takeoff.foreign:
            self.end(f"the mode is {mode.name}, which was not asked for", facts.now)
        elif self._takeoff.reached:
            self._entered = self._after_takeoff = mode.number == self.rules.command
            self._become(Authority.NONE, facts.now, LinkEventKind.AIRBORNE, "height reached and stable")

    # --- helpers ----------------------------------------------------------------------------------------

    def _hand_over(self, to: Authority, cause: str, facts: Facts) -> None:
        if self.authority in (Authority.NONE, Authority.ENDED, to):
            return
        if self.authority is Authority.OFFERED:
            self._become(Authority.NONE, facts.now, LinkEventKind.ENDED, f"{cause}; no longer offered")
            return
        self._handed_from = self._mode
        self._become(to, facts.now, _KINDS[to], cause)
        self.asking.ask(Ask.mode(self._wanted(to)), facts.now)

    def _wanted(self, authority: Authority) -> int:
        rules = self.rules
        return {
            Authority.HOLDING: rules.hold, Authority.LANDING: rules.land, Authority.RETURNING: rules.home
        }[authority]  # fmt: skip

    def _become(self, authority: Authority, now: float, kind: LinkEventKind, cause: str) -> None:
        self.authority, self._since, self._confirmed = authority, now, None
        if authority is not Authority.TESTING:
            self._test = None
        self._withheld = ""
        self.asking.drop()
        self._tell(now, kind, cause)

    def _note_withheld(self, facts: Facts) -> None:
        if bool(facts.unfit) != bool(self._withheld):
            kind = LinkEventKind.SETPOINT_WITHHELD if facts.unfit else LinkEventKind.SETPOINT_RESUMED
            self._tell(facts.now, kind, f"{facts.unfit}: zero is sent" if facts.unfit else "fit again")
        self._withheld = facts.unfit

    def _tell(self, now: float, kind: LinkEventKind, cause: str) -> None:
        self.events.append(LinkEvent(now, kind, cause))

    _handed_from: int | None = None


_HANDING_OVER = (Authority.HOLDING, Authority.LANDING, Authority.RETURNING)
_KINDS = {
    Authority.HOLDING: LinkEventKind.HOLD, Authority.LANDING: LinkEventKind.LAND,
    Authority.RETURNING: LinkEventKind.RETURN,
}  # fmt: skip
_STEPS = {
    Authority.OFFERED: Engagement._offered,
    Authority.TESTING: Engagement._testing,
    Authority.HELD: Engagement._held,
    Authority.HOLDING: Engagement._handing_over,
    Authority.LANDING: Engagement._handing_over,
    Authority.RETURNING: Engagement._handing_over,
    Authority.TAKING_OFF: Engagement._taking_off,
}
