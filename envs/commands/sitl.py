"""`navstack sitl`: an environment as a vehicle with an emulated autopilot and a network camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Sitl:
    """Serve an environment as a vehicle: an emulated MAVLink autopilot, and a camera over HTTP.

    It begins hovering in the autopilot's hold, or with --ground standing and disarmed. EMULATED: it behaves
    as PX4 or ArduCopter do where it matters to a companion, and proves nothing about the firmware by itself.
    It runs until it is interrupted.
    """

    env: str = "FlyToTarget"
    """Task whose start and judge are used."""
    world: str = "meadow"
    """World by name or by path of a world file."""
    seed: int = 0
    """Seed of the exact world."""
    autopilot: Literal["px4", "arducopter"] = "px4"
    """Whose rules are emulated."""
    mavlink: tuple[str, ...] = ("udpout:127.0.0.1:14540",)
    """Connections: udpin:HOST:PORT, udpout:HOST:PORT, tcp:HOST:PORT or serial:DEVICE:BAUD."""
    camera: str = "http://127.0.0.1:8080"
    """Where the camera is served, as Motion JPEG at /camera; empty for none."""
    rate: float = 20.0
    """Camera frames per second."""
    ground: bool = False
    """Begin on the ground, disarmed, instead of hovering."""
    pilot: bool = False
    """Play the pilot who selects OFFBOARD or GUIDED when setpoints have streamed for two seconds."""
    unsafe: bool = False
    """Give the failsafe parameters the firmware's defaults, which a companion should refuse."""
    set: tuple[str, ...] = ()
    """Parameters, each as NAME=NUMBER."""
    system_id: int = 1
    """MAVLink system of the vehicle."""
    speed: float = 1.0
    """Simulated seconds in a second, at most."""
    lock_step: bool = False
    """While a companion flies, wait for its setpoint after every frame."""
    seconds: float = 0.0
    """End after so much simulated time; 0 for never."""
    once: bool = False
    """End when the task is decided; the exit status is then 0 for success and 1 otherwise."""

    def __call__(self) -> int:
        """Serve it."""
        from navstack.envs.sitl.run import run

        return run(self)
