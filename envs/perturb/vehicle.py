"""Imperfect vehicles and moving air, drawn at the start of a flight.

Turbulence is Dryden's in the low-altitude form of MIL-F-8785C (1980, section 3.7): its intensities and scale
lengths follow from the wind speed at 20 ft and the height, its filters from the airspeed. Two things are
bounded because the model is singular there: the airspeed from below (a hovering drone has none, and the
turbulence would stand still), and the height, which the standard begins at 10 ft.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from navstack.contract import Vector3
from navstack.envs.perturb import Effect, Perturbation
from navstack.envs.vehicle.dynamics import Faults

FEET = 0.3048  # m
LEAST_HEIGHT = 10.0 * FEET  # m
LEAST_AIRSPEED = 2.0  # m/s
DRIFT_TIME = 8.0  # s, correlation time of the error of the velocity estimate


class PerturbedVehicle:
    """How this flight's vehicle and air differ from airframe file and world.

    Args:
        drawn: perturbations, each with the random numbers that are its own.
        step: s, between two calls of `wind` or of `velocity_error`.
    """

    def __init__(self, drawn: Sequence[tuple[Perturbation, np.random.Generator]], step: float) -> None:
        self.faults = Faults()
        self._wind = [0.0, 0.0]
        self._gusts: Gusts | None = None
        self._drift: Drift | None = None
        for one, rng in drawn:
            if one.kind.vehicle is not None:
                self._draw(one.kind.vehicle, one.level, step, rng)

    def _draw(self, what: Effect, level: float, step: float, rng: np.random.Generator) -> None:
        direction, sign = rng.uniform(-math.pi, math.pi), float(rng.choice((-1.0, 1.0)))
        if what == "wind":
            self._wind = [level * math.cos(direction), level * math.sin(direction)]
        elif what == "gusts":
            self._gusts = Gusts(level, direction, step, rng)
        elif what == "mass":
            self.faults = replace(self.faults, mass=1.0 + sign * level)
        elif what == "thrust":
            weaker = 1.0 - level
            self.faults = replace(self.faults, rotors=tuple(weaker * each for each in self.faults.rotors))
        elif what == "rotor":
            number = int(rng.integers(4))
            rotors = [
                each * (1.0 - level if n == number else 1.0) for n, each in enumerate(self.faults.rotors)
            ]
            self.faults = replace(self.faults, rotors=tuple(rotors))
        elif what == "attitude":
            self.faults = replace(self.faults, attitude=level)
        else:
            self._drift = Drift(level, step, rng)

    def prepare(self, height: float, velocity_enu: Vector3, wind_enu: Vector3) -> None:
        """Set the air for the next tenth of a second at this height (m) and velocity (m/s)."""
        if self._gusts is not None:
            relative = math.dist(
                velocity_enu, (wind_enu[0] + self._wind[0], wind_enu[1] + self._wind[1], 0.0)
            )
            self._gusts.prepare(height, relative)

    def wind(self, wind_enu: Vector3) -> Vector3:
        """The next step's wind in m/s, ENU, on top of the world's."""
        x, y, z = wind_enu[0] + self._wind[0], wind_enu[1] + self._wind[1], wind_enu[2]
        if self._gusts is None:
            return x, y, z
        a, b, c = self._gusts.advance()
        return x + a, y + b, z + c

    def velocity_error(self) -> Vector3 | None:
        """The next step's error of the velocity that the controller goes by, in m/s, ENU."""
        return None if self._drift is None else self._drift.advance()


class Gusts:
    """Dryden turbulence along the mean wind, across it and upwards.

    Args:
        wind20: m/s, wind speed at 20 ft: 7.7 is the standard's light turbulence, 15.4 moderate, 23.2 severe.
        direction: rad, where the mean wind blows to, counter-clockwise from east.
        step: s, between two calls of `advance`.
        rng: drawn from at every step.
    """

    def __init__(self, wind20: float, direction: float, step: float, rng: np.random.Generator) -> None:
        self._wind20, self._step, self._rng = wind20, step, rng
        self._cos, self._sin = math.cos(direction), math.sin(direction)
        self._draws: list[list[float]] = []
        # The filters' states, without unit, so that they stay what they are when height and airspeed change.
        self._along = float(rng.standard_normal())
        self._across, self._up = (_Second(*(0.5 * rng.standard_normal(2)).tolist()) for _ in range(2))
        self.prepare(LEAST_HEIGHT, LEAST_AIRSPEED)

    def prepare(self, height: float, airspeed: float) -> None:
        """Set the filters for this height above ground (m) and airspeed (m/s), both bounded from below."""
        speed = max(airspeed, LEAST_AIRSPEED)
        (self._sigma_u, self._sigma_w), (length_u, length_w) = dryden(height, self._wind20)
        self._keep = math.exp(-self._step * speed / length_u)
        self._push = math.sqrt(1.0 - self._keep**2)
        self._across.prepare(self._step * speed / length_u)
        self._up.prepare(self._step * speed / length_w)

    def advance(self) -> Vector3:
        """The gust of the next step in m/s, ENU."""
        if not self._draws:
            self._draws = self._rng.standard_normal((256, 5)).tolist()
        n = self._draws.pop()
        self._along = self._keep * self._along + self._push * n[0]
        along = self._sigma_u * self._along
        across = self._sigma_u * self._across.advance(n[1], n[2])
        up = self._sigma_w * self._up.advance(n[3], n[4])
        return along * self._cos - across * self._sin, along * self._sin + across * self._cos, up


class _Second:
    """The filter (1 + sqrt(3) T s) / (1 + T s)^2 on white noise, its output of variance 1, in exact steps.

    The state is (x, v) with T x' = v and T v' = -x - 2 v + noise. For the noise that makes x + sqrt(3) v of
    variance 1 its stationary covariance is a quarter of the identity; a step's noise restores what it loses.
    """

    __slots__ = ("_r00", "_r10", "_r11", "_t00", "_t01", "_t10", "_t11", "_v", "_x")

    def __init__(self, x: float, v: float) -> None:
        self._x, self._v = x, v

    def prepare(self, ratio: float) -> None:
        """`ratio` is the step over T."""
        h = math.exp(-ratio)
        self._t00, self._t01 = h * (1.0 + ratio), h * ratio
        self._t10, self._t11 = -h * ratio, h * (1.0 - ratio)
        transition = np.array([[self._t00, self._t01], [self._t10, self._t11]])
        lost = 0.25 * (np.eye(2) - transition @ transition.T)
        root = np.linalg.cholesky(lost + 1e-15 * np.eye(2))
        self._r00, self._r10, self._r11 = float(root[0, 0]), float(root[1, 0]), float(root[1, 1])

    def advance(self, a: float, b: float) -> float:
        """The next output, from two standard normal draws."""
        x, v = self._x, self._v
        self._x = self._t00 * x + self._t01 * v + self._r00 * a
        self._v = self._t10 * x + self._t11 * v + self._r10 * a + self._r11 * b
        return self._x + math.sqrt(3.0) * self._v


def dryden(height: float, wind20: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intensities (m/s) and scale lengths (m), each horizontal and vertical, of MIL-F-8785C below 1,000 ft.

    `height` in m above ground, not below 10 ft; `wind20` in m/s at 20 ft.
    """
    meters = max(height, LEAST_HEIGHT)
    ratio = 0.177 + 0.000823 * meters / FEET
    sigma_w = 0.1 * wind20
    return (sigma_w / ratio**0.4, sigma_w), (meters / ratio**1.2, meters)


class Drift:
    """The error of the velocity estimate: an Ornstein-Uhlenbeck process on each axis.

    Args:
        deviation: m/s.
        step: s, between two calls of `advance`.
        rng: drawn from at every step.
    """

    def __init__(self, deviation: float, step: float, rng: np.random.Generator) -> None:
        self._keep = math.exp(-step / DRIFT_TIME)
        self._push = deviation * math.sqrt(1.0 - self._keep**2)
        self._rng = rng
        self._error = deviation * rng.standard_normal(3)

    def advance(self) -> Vector3:
        """The error of the next step in m/s, ENU."""
        self._error = self._keep * self._error + self._push * self._rng.standard_normal(3)
        x, y, z = self._error.tolist()
        return x, y, z
