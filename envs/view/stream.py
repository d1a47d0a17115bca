"""A flight as Rerun's entities: pictures, where the drone is, commands of pilot and expert, the outcome."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from navstack.contract import Image, Vector3, VelocityCommand
from navstack.envs.worlds.scene import Scene
from navstack.results import COLLISION, SUCCESS

AXES = (("forward", "m/s"), ("left", "m/s"), ("up", "m/s"), ("yaw_rate", "rad/s"))
_FLOWN, _EXPERT = (64, 196, 255), (255, 170, 60)
_OUTCOME_COLORS = {SUCCESS: "🟢", COLLISION: "🔴"}


@dataclass(frozen=True, slots=True)
class Moment:
    """What one instant of a flight shows."""

    time: float  # s
    image: Image  # (H, W, 3) uint8 RGB, what the pilot sees
    chase: Image | None  # (H, W, 3) uint8 RGB, where it is known
    command: VelocityCommand  # what was flown
    expert: VelocityCommand  # what the expert would have flown
    position_enu: Vector3  # m
    yaw: float  # rad


class FlightStream:
    """Sends one flight to a Rerun recording, moment by moment."""

    def __init__(self, recording: rr.RecordingStream, title: str) -> None:
        self._recording, self._title = recording, title
        self._path: list[Vector3] = []
        recording.send_blueprint(_blueprint(), make_active=True)
        recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        for name, unit in AXES:
            for who, color in (("flown", _FLOWN), ("expert", _EXPERT)):
                look = rr.SeriesLines(colors=color, names=f"{who}, {unit}", widths=2.0)
                recording.log(f"command/{name}/{who}", look, static=True)
        recording.set_time("flight", duration=0.0)
        self._say("under way")

    def scene(self, scene: Scene, target_enu: Vector3) -> None:
        """The bounding cylinders of what stands about, and the target."""
        x, y, radius, height = scene.obstacles.T if len(scene.obstacles) else np.zeros((4, 0))
        near = np.hypot(x - target_enu[0], y - target_enu[1]) < 40.0
        middle = np.column_stack((x, y, 0.5 * height))[near]
        half = np.column_stack((radius, radius, 0.5 * height))[near]
        boxes = rr.Boxes3D(centers=middle, half_sizes=half, colors=(120, 130, 120))
        self._recording.log("world/obstacles", boxes, static=True)
        target = rr.Points3D([target_enu], radii=0.4, colors=(230, 30, 30), labels="target")
        self._recording.log("world/target", target, static=True)

    def show(self, moment: Moment) -> None:
        """Send one instant."""
        recording, position = self._recording, moment.position_enu
        recording.set_time("flight", duration=moment.time)
        recording.log("camera", rr.Image(moment.image))
        if moment.chase is not None:
            recording.log("chase", rr.Image(moment.chase).compress(jpeg_quality=80))
        self._path.append(position)
        recording.log("world/trajectory", rr.LineStrips3D([self._path], colors=_FLOWN, radii=0.04))
        heading = (math.cos(moment.yaw), math.sin(moment.yaw), 0.0)
        recording.log(
            "world/drone", rr.Arrows3D(origins=[position], vectors=[heading], colors=(255, 255, 255))
        )
        for name, _ in AXES:
            for who, command in (("flown", moment.command), ("expert", moment.expert)):
                recording.log(f"command/{name}/{who}", rr.Scalars(getattr(command, name)))

    def end(self, outcome: str) -> None:
        """Say how the flight ended."""
        self._say(f"{_OUTCOME_COLORS.get(outcome, '🟡')} {outcome}")

    def show_all(self, moments: Iterable[Moment], outcome: str) -> None:
        """Send a whole flight."""
        for moment in moments:
            self.show(moment)
        self.end(outcome)

    def _say(self, outcome: str) -> None:
        text = rr.TextDocument(f"# {outcome}\n\n{self._title}", media_type=rr.MediaType.MARKDOWN)
        self._recording.log("outcome", text)


def _blueprint() -> rrb.Blueprint:
    commands = [rrb.TimeSeriesView(origin=f"command/{name}", name=f"{name}, {unit}") for name, unit in AXES]
    pictures = rrb.Vertical(
        rrb.Spatial2DView(origin="chase", name="chase view"),
        rrb.Horizontal(
            rrb.Spatial2DView(origin="camera", name="camera"),
            rrb.TextDocumentView(origin="outcome", name="outcome"),
        ),
        row_shares=(3, 2),
    )
    course = rrb.Vertical(rrb.Spatial3DView(origin="world", name="trajectory"), rrb.Grid(*commands))
    return rrb.Blueprint(rrb.Horizontal(pictures, course), collapse_panels=True)
