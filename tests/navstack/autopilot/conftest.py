"""A vehicle with an emulated autopilot and our link, in one process on simulated time."""

import pytest

from navstack.autopilot.link import Authority, Finding, Firmware, LinkConfig
from navstack.autopilot.mavlink import MavlinkLink
from navstack.contract import VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl import EmulatedAutopilot, MemoryWire, SitlBody


class Flight:
    """Link, wire, autopilot and body, turned together 120 times a second."""

    def __init__(self, environment, firmware=Firmware.PX4, on_ground=False, parameters=None, **config):
        config.setdefault("engage", "self")
        self.body = SitlBody(environment, 3, on_ground)
        self.wire = MemoryWire(self.body.now)
        self.autopilot = EmulatedAutopilot(
            self.body, firmware, [self.wire.vehicle], parameters, signing_key=config.get("signing_key")
        )
        self.link = MavlinkLink(self.wire.companion, self.body, LinkConfig(**config))
        self.events = []

    @property
    def authority(self):
        return self.link.status().authority

    def run(self, seconds, command=None, until=None):
        """Turn for so long, sending the command at 60 Hz; whether `until` came true."""
        end, turn = self.body.now() + seconds, 0
        while self.body.now() < end - 1e-9:
            self.autopilot.step()
            self.events += self.link.poll()
            turn += 1
            if command is not None and turn % 2 == 0:
                self.link.send(command)
            if until is not None and until():
                return True
        return False

    def engaged(self):
        """Fly until authority is held."""
        assert self.run(5.0, until=lambda: all(f.ok for f in self.link.preflight() or (NOT_YET,)))
        self.link.engage()
        assert self.run(10.0, ZERO, until=lambda: self.authority is Authority.HELD), self.events
        return self

    def kinds(self):
        return [event.kind for event in self.events]

    def cause(self, kind):
        return next(event.cause for event in self.events if event.kind == kind)


NOT_YET = Finding("parameters", "", "", False, "", "")
ZERO = VelocityCommand(0.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="session")
def environment():
    made = NavigationEnv(world="meadow", purpose="dev", camera=False)
    yield made
    made.close()


@pytest.fixture
def fly(environment):
    """Make a flight: `fly(firmware, on_ground, parameters, **link configuration)`."""
    return lambda *arguments, **options: Flight(environment, *arguments, **options)
