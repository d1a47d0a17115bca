"""How Occlusion carries the vehicle past the target and hides it: the same motion for both of a pair.

Everything here lives in the frame of the place where the vehicle is set free: x along its heading there, y to
the left. All is even in y: of the target's side nothing is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from navstack.contract import VelocityCommand
from navstack.envs.stage import Stage

CRUISE = 2.0  # m/s past the target
SPEED_UP, SLOW_DOWN = 2.0, 1.0  # s from rest to that speed and back
SHOWN = 0.6  # s at rest before the way begins
SETTLED = 0.1  # s at rest after it
SWING_RATE = 2.0  # rad/s, the fastest of a swing
SCREEN_ASIDE = 1.6  # m from the way to a screen
SCREEN_SIZE = (3.2, 0.25)  # m, height and depth
OUT_OF_VIEW = math.radians(49.0)  # bearing from which nothing of the target is in view
SEEN = math.radians(34.0)  # bearing up to which most of it is


@dataclass(frozen=True, slots=True)
class Passage:
    """One way on which the target is lost from view."""

    hidden_by: str  # standing, passing or gust
    x: float  # m, ENU, where the vehicle is set free
    y: float  # m, ENU
    heading: float  # rad
    height: float  # m
    length: float  # m of the way to there; 0 for a gust
    swing: float  # rad, of the gust: first to the left where positive; 0 for a way
    wait: float  # s at rest before the vehicle is set free
    screen: tuple[float, float] = (0.0, 0.0)  # m, from where to where along x the screens stand, at `met`
    screen_speed: float = 0.0  # m/s, towards the vehicle
    met: float = 0.0  # s

    @property
    def release(self) -> float:
        """Time (s) from which on the vehicle flies what it is commanded."""
        return self.moving + self.wait

    @property
    def moving(self) -> float:
        """Time (s) at which way or swing ends."""
        if self.hidden_by == "gust":
            return 4.0 * self.quarter
        return SHOWN + self.length / CRUISE + 0.5 * (SPEED_UP + SLOW_DOWN)

    @property
    def quarter(self) -> float:
        """Seconds of a swing from the middle to one side; minimum-jerk, whose peak rate is 15/8 the mean."""
        return 15.0 / 8.0 * abs(self.swing) / SWING_RATE

    def along(self, time: float) -> tuple[float, float]:
        """Place (m) and speed (m/s) along x at a time."""
        if self.hidden_by == "gust":
            return 0.0, 0.0
        t, end = time - SHOWN, self.moving - SHOWN
        if t <= 0.0:
            return -self.length, 0.0
        if t >= end:
            return 0.0, 0.0
        if t < SPEED_UP:
            place, speed = _ramp(t / SPEED_UP)
            return place * CRUISE * SPEED_UP - self.length, speed * CRUISE
        if t > end - SLOW_DOWN:
            place, speed = _ramp((end - t) / SLOW_DOWN)
            return -place * CRUISE * SLOW_DOWN, speed * CRUISE
        return CRUISE * (t - 0.5 * SPEED_UP) - self.length, CRUISE

    def turned(self, time: float) -> tuple[float, float]:
        """Heading (rad) from the one at the end, and its rate (rad/s), at a time."""
        if self.hidden_by != "gust" or not 0.0 < time < self.moving:
            return 0.0, 0.0
        quarter = self.quarter
        for start, seconds, first, last in (
            (0.0, quarter, 0.0, self.swing),
            (quarter, 2.0 * quarter, self.swing, -self.swing),
            (3.0 * quarter, quarter, -self.swing, 0.0),
        ):
            if time < start + seconds:
                s = (time - start) / seconds
                share = s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)
                rate = 30.0 * s * s * (1.0 - s) ** 2 / seconds
                return first + share * (last - first), rate * (last - first)
        return 0.0, 0.0

    def screens(self, time: float) -> tuple[float, float]:
        """From where to where along x the screens stand at a time."""
        shift = self.screen_speed * (time - self.met)
        return self.screen[0] - shift, self.screen[1] - shift

    def to_enu(self, x: float, y: float) -> tuple[float, float]:
        """The place (m, ENU) of a place in the passage's frame."""
        c, s = math.cos(self.heading), math.sin(self.heading)
        return self.x + c * x - s * y, self.y + s * x + c * y


def _ramp(share: float) -> tuple[float, float]:
    """Way and speed of a smooth start, both in units of the final speed, after a share of its time."""
    angle = math.pi * share
    return 0.5 * (share - math.sin(angle) / math.pi), 0.5 * (1.0 - math.cos(angle))


@dataclass(frozen=True, slots=True)
class PassageScenery:
    """Carries the vehicle along the passage, moves the screens, and sets the vehicle free."""

    passage: Passage

    def act(self, time: float, stage: Stage) -> VelocityCommand | None:
        """Screens where they belong; the velocity that keeps to the way, until the vehicle is free."""
        passage = self.passage
        if passage.screen_speed:
            first, last = passage.screens(time)
            for prop, side in zip(stage.props, (1.0, -1.0), strict=True):
                x, y = passage.to_enu(0.5 * (first + last), side * SCREEN_ASIDE)
                stage.move(prop, x, y, passage.heading)
        return self._carry(time, stage) if time <= passage.release else None

    def _carry(self, time: float, stage: Stage) -> VelocityCommand:
        passage, vehicle = self.passage, stage.vehicle
        (place, speed), (turned, rate) = passage.along(time), passage.turned(time)
        c, s = math.cos(passage.heading), math.sin(passage.heading)
        east, north = vehicle.position[0] - passage.x, vehicle.position[1] - passage.y
        ahead = speed + place - (c * east + s * north)
        aside = s * east - c * north
        error = math.remainder(passage.heading + turned - vehicle.heading, math.tau)
        c, s = math.cos(turned - error), math.sin(turned - error)  # of the vehicle's own heading
        return VelocityCommand(
            forward=c * ahead + s * aside,
            left=c * aside - s * ahead,
            up=0.9 * (passage.height - stage.height()),
            yaw_rate=rate + 1.5 * error,
        )
