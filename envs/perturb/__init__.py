"""Imperfections by name and severity from 1 to 5: of the camera, of its place on the vehicle, of its timing.

`PERTURBATIONS` is the one place where names, levels and the split stand. Those of the split "train" may be
met in training; the others are for judging only, and environments made for training refuse them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from navstack.envs.perturb import camera
from navstack.errors import InputError, nearest
from navstack.timing import FrameTiming

Levels = tuple[float, float, float, float, float]  # by severity, 1 to 5
SEVERITIES = (1, 2, 3, 4, 5)
Effect = Literal["wind", "gusts", "mass", "thrust", "rotor", "attitude", "drift"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One imperfection. Exactly one of `image`, `mount`, `timing` and `vehicle` says what it does."""

    family: Literal["camera", "timing", "vehicle"]
    split: Literal["train", "held-out"]
    levels: Levels
    unit: str
    summary: str
    image: camera.Make | None = None  # what is done to every picture
    mount: Literal["tilt", "fov", "fog"] | None = None  # what is drawn anew for each flight
    timing: Callable[[FrameTiming, float], FrameTiming] | None = None
    vehicle: Effect | None = None


def _rate(timing: FrameTiming, level: float) -> FrameTiming:
    return replace(timing, rate_hz=level)


PERTURBATIONS: dict[str, Kind] = {
    "gaussian_noise": Kind(
        "camera", "train", (0.04, 0.08, 0.12, 0.18, 0.26), "of full scale", "noise of the read-out",
        image=camera.gaussian_noise,
    ),
    "shot_noise": Kind(
        "camera", "held-out", (60.0, 25.0, 12.0, 5.0, 3.0), "photons in a white pixel", "too few photons",
        image=camera.shot_noise,
    ),
    "defocus_blur": Kind(
        "camera", "train", (0.8, 1.2, 1.7, 2.4, 3.2), "pixels of radius", "a lens out of focus",
        image=camera.defocus_blur,
    ),
    "motion_blur": Kind(
        "camera", "held-out", (0.01, 0.02, 0.03, 0.05, 0.08), "s of exposure",
        "pitch and yaw during the exposure",
        image=camera.motion_blur,
    ),
    "rolling_shutter": Kind(
        "camera", "held-out", (0.01, 0.02, 0.033, 0.05, 0.08), "s of read-out",
        "rows read while the body yaws, to first order",
        image=camera.rolling_shutter,
    ),
    "brightness": Kind(
        "camera", "train", (0.4, 0.8, 1.2, 1.7, 2.3), "stops", "exposed too long or too short",
        image=camera.brightness,
    ),
    "contrast": Kind(
        "camera", "train", (0.6, 0.45, 0.3, 0.2, 0.1), "of it left", "a flat picture",
        image=camera.contrast,
    ),
    "saturation": Kind(
        "camera", "held-out", (0.7, 0.5, 0.35, 0.2, 0.1), "of it left", "pale colours",
        image=camera.saturation,
    ),
    "hue_shift": Kind(
        "camera", "held-out", (8.0, 16.0, 24.0, 34.0, 46.0), "degrees", "all hues turned, the target's too",
        image=camera.hue_shift,
    ),
    "jpeg": Kind(
        "camera", "held-out", (25.0, 18.0, 15.0, 10.0, 7.0), "quality of 100", "hard compression",
        image=camera.jpeg,
    ),
    "rain": Kind(
        "camera", "held-out", (6.0, 14.0, 28.0, 50.0, 90.0), "drops a picture", "streaks of falling drops",
        image=camera.rain,
    ),
    "fog": Kind(
        "camera", "held-out", (0.02, 0.04, 0.07, 0.11, 0.16), "per m, exponential", "grey fog, by depth",
        mount="fog",
    ),
    "lens_dirt": Kind(
        "camera", "held-out", (0.04, 0.08, 0.14, 0.22, 0.32), "of the picture", "blurred spots that stay",
        image=camera.lens_dirt,
    ),
    "dead_pixels": Kind(
        "camera", "held-out", (0.002, 0.006, 0.015, 0.04, 0.08), "of the pixels", "stuck black or full",
        image=camera.dead_pixels,
    ),
    "mount_tilt": Kind(
        "camera", "held-out", (1.0, 2.0, 4.0, 6.0, 9.0), "degrees", "rolled and pitched in its mount",
        mount="tilt",
    ),
    "field_of_view": Kind(
        "camera", "held-out", (0.03, 0.06, 0.1, 0.15, 0.2), "of the angle", "wider or narrower than stated",
        mount="fov",
    ),
    "dropped_frames": Kind(
        "timing", "train", (0.1, 0.2, 0.35, 0.5, 0.65), "probability", "each frame lost by itself",
        timing=lambda timing, level: replace(timing, drop_probability=level),
    ),
    "jittered_frames": Kind(
        "timing", "train", (0.1, 0.2, 0.4, 0.6, 0.8), "of the interval", "irregular frames",
        timing=lambda timing, level: replace(timing, jitter=level),
    ),
    "late_frames": Kind(
        "timing", "held-out", (0.02, 0.05, 0.1, 0.15, 0.2), "s", "frames arrive after they were taken",
        timing=lambda timing, level: replace(timing, latency=level),
    ),
    "frozen_frames": Kind(
        "timing", "held-out", (0.01, 0.02, 0.04, 0.07, 0.12), "probability", "the camera hangs for a while",
        image=camera.frozen_frames,
    ),
    "slow_camera": Kind(
        "timing", "train", (15.0, 12.0, 10.0, 7.0, 5.0), "Hz", "fewer frames than at nominal rate",
        timing=_rate,
    ),
    "fast_camera": Kind(
        "timing", "train", (25.0, 30.0, 40.0, 50.0, 60.0), "Hz", "more frames than at nominal rate",
        timing=_rate,
    ),
    "wind": Kind(
        "vehicle", "train", (2.0, 3.5, 5.0, 6.5, 8.0), "m/s", "steady wind on top of the world's",
        vehicle="wind",
    ),
    "gusts": Kind(
        "vehicle", "held-out", (4.0, 7.7, 11.5, 15.4, 23.2), "m/s at 20 ft", "Dryden turbulence",
        vehicle="gusts",
    ),
    "mass_error": Kind(
        "vehicle", "held-out", (0.05, 0.1, 0.15, 0.2, 0.25), "of the mass", "heavier or lighter than stated",
        vehicle="mass",
    ),
    "thrust_error": Kind(
        "vehicle", "held-out", (0.05, 0.1, 0.15, 0.2, 0.25), "of the thrust missing", "four weak rotors",
        vehicle="thrust",
    ),
    "weak_rotor": Kind(
        "vehicle", "held-out", (0.05, 0.1, 0.15, 0.2, 0.25), "of its thrust missing", "one weak rotor",
        vehicle="rotor",
    ),
    "slow_attitude": Kind(
        "vehicle", "held-out", (0.8, 0.65, 0.5, 0.4, 0.3), "of the gains left", "a soft attitude controller",
        vehicle="attitude",
    ),
    "velocity_drift": Kind(
        "vehicle", "held-out", (0.05, 0.1, 0.15, 0.2, 0.3), "m/s", "a velocity estimate that wanders",
        vehicle="drift",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One imperfection at one severity.

    Raises InputError for an unknown name, or a severity that is not a whole number from 1 to 5.
    """

    name: str
    severity: int

    def __post_init__(self) -> None:
        """Check name and severity."""
        if self.name not in PERTURBATIONS:
            raise InputError(
                f"perturbation '{self.name}' not found{nearest(self.name, PERTURBATIONS)}"
                " (navstack perturbations lists them)"
            )
        if self.severity not in SEVERITIES:
            raise InputError(f"severity of '{self.name}' is {self.severity}; it must be 1, 2, 3, 4 or 5")

    def __str__(self) -> str:
        return f"{self.name}:{self.severity}"

    @property
    def kind(self) -> Kind:
        """What it is."""
        return PERTURBATIONS[self.name]

    @property
    def level(self) -> float:
        """The severity in the kind's unit."""
        return self.kind.levels[self.severity - 1]


def parse_perturbations(texts: Sequence[str]) -> tuple[Perturbation, ...]:
    """The perturbations that texts such as "rain:3" name; they combine in this order.

    Raises InputError for what is not `name:severity`, and for one effect asked for twice.
    """
    found: list[Perturbation] = []
    for text in texts:
        name, _, severity = text.partition(":")
        if not severity.isdecimal():
            Perturbation(name, 1)  # an unknown name is the first thing to say
            raise InputError(f"perturbation '{text}' has no severity; write {name}:1 to {name}:5")
        one = Perturbation(name, int(severity))
        if any(one.name == other.name for other in found):
            raise InputError(f"perturbation '{name}' is asked for twice; once is enough")
        found.append(one)
    rates = [one.name for one in found if one.kind.timing is _rate]
    if len(rates) > 1:
        raise InputError(f"perturbations '{rates[0]}' and '{rates[1]}' both set the frame rate; choose one")
    return tuple(found)


def perturbed_timing(timing: FrameTiming, perturbations: Sequence[Perturbation]) -> FrameTiming:
    """The camera's clock with all its imperfections; what a perturbation sets replaces what was there."""
    for one in perturbations:
        if one.kind.timing is not None:
            timing = one.kind.timing(timing, one.level)
    return timing
