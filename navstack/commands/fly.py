"""`navstack fly`: the closed loop, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Fly:
    """Fly a policy once through the guarded closed loop, on an autopilot or in simulation.

    With --autopilot and --camera it flies a vehicle; without, the simulated one: in lock-step by default,
    with --real-time at the pace of the wall clock. No policy that ships has flown a real vehicle: read
    docs/first-flight.md first. Ctrl-C and SIGTERM have the autopilot hold. The exit status is 0 when the
    flight ended as planned and 1 when it ended otherwise.
    """

    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    """Path of a policy.onnx, or the name of a policy that ships with navstack."""
    config: Path | None = None
    """Read options from this TOML file; the command line has the last word. docs/fly.toml explains each."""

    autopilot: str | None = None
    """Address of the autopilot: udpin:127.0.0.1:14540, serial:/dev/ttyAMA0:921600, tcp:HOST:PORT (MAVLink);
    msp:serial:/dev/ttyAMA0:115200, msp:tcp:HOST:PORT (Betaflight, with --velocity)."""
    velocity: str | None = None
    """Where an estimator sends MAVLink ODOMETRY, for Betaflight, which tells no velocity: udpin:HOST:PORT,
    tcp:HOST:PORT, serial:DEVICE:BAUD."""
    camera: str | None = None
    """Camera: a device (0, /dev/video0), rtsp://..., http://... (MJPEG), a video file, a folder of images."""
    camera_calibration: Path | None = None
    """The lens, from `navstack camera calibrate`."""
    camera_fov: float | None = None
    """Or its horizontal field of view in degrees, where it has no distortion."""
    camera_latency: float = 0.0
    """Seconds from the taking of a picture until it is here; `navstack camera latency` measures it."""
    dry_run: bool = False
    """Run everything and send nothing to the autopilot."""
    engage: Literal["pilot", "self"] = "pilot"
    """Who selects OFFBOARD or GUIDED: the pilot by switch, or this program. Betaflight: the pilot."""
    arm: bool = False
    """Let --takeoff arm the vehicle, after a confirmation that is typed."""
    takeoff: float | None = None
    """Take off to this height in metres first, by the autopilot; without it the vehicle is in the air."""
    seconds: float | None = None
    """Fly so long, then hold and land."""
    after_hold: Literal["land", "return"] = "land"
    """What a hold becomes after 10 seconds."""
    speed: float = 1.0
    """Fastest flight in m/s, in each direction; the policy's own limits are kept too."""
    turn: float = 0.5
    """Fastest turn in rad/s."""
    fence: float = 30.0
    """Radius of the fence in metres around where the flight is engaged."""
    fence_polygon: Path | None = None
    """Instead of the circle: JSON list of corners, [east, north] in metres from where it is engaged."""
    ceiling: float = 10.0
    """Highest flight in metres above take-off."""
    floor: float = 1.0
    """Lowest flight in metres above take-off, or above the ground where it is measured."""
    drift: float = 0.3
    """How far the strongest wind to fly in carries the vehicle off its command, in m/s."""
    system: int = 0
    """MAVLink system id of the vehicle; 0 for the only one there is."""
    signing_key: Path | None = None
    """File with 64 hexadecimal digits: sign every MAVLink message, and ignore unsigned ones."""
    allow_unsafe: tuple[str, ...] = ()
    """Findings before flight that are accepted although they are unsafe, by name."""

    vehicle: str = "sim"
    """Without --autopilot: sim, the simulated quadrotor."""
    env: str = "FlyToTarget"
    """Task of the simulation."""
    world: str = "meadow"
    """World of the simulation, by name or by path of a world file."""
    seed: int = 0
    """Seed of the exact world."""
    real_time: bool = False
    """Simulate at the pace of the wall clock instead of as fast as the machine can."""

    rate: float = 20.0
    """Camera frames per second."""
    guard: bool = True
    """Fly with the guard between policy and vehicle; only a simulated vehicle flies without."""
    log: Path | None = None
    """Write a flight log (MCAP) here."""
    log_megabytes: int = 256
    """Size at which the log goes on in a further file."""
    log_files: int = 8
    """Files of a log that are kept; the oldest are removed."""
    view: bool = False
    """Serve a page that shows the flight, with a button that asks for hold."""
    view_address: str = "127.0.0.1:8000"
    """Where the page is served; 0.0.0.0:8000 for the whole network."""
    view_token: bool = True
    """Ask the page's visitors for the token that is printed at the start."""
    json: Path | None = None
    """Write the outcome here."""

    @classmethod
    def default_for(cls, arguments: Sequence[str]) -> Fly | None:
        """The options in the file that --config names, if it is among the arguments."""
        from navstack.settings import fly_options

        return fly_options(cls, arguments)

    def __call__(self) -> int:
        """Fly."""
        if self.autopilot is not None or self.camera is not None:
            from navstack.onboard import run as run_onboard

            return run_onboard(self)
        from navstack.flying import run

        return run(self)
