"""Airframe files: every number of a vehicle, with its source."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from navstack.contract import Vector3
from navstack.envs.yaml_files import load_yaml_model
from navstack.errors import InputError, nearest

DEFAULT_AIRFRAME = "hummingbird"

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inertia(_Section):
    """Mass and principal moments about the centre of mass."""

    mass: Positive  # kg
    ixx: Positive  # kg m^2
    iyy: Positive  # kg m^2
    izz: Positive  # kg m^2


class Geometry(_Section):
    """Where things are."""

    arm: Positive  # m from the centre of mass to a rotor; the four stand in an X
    body: tuple[Positive, Positive, Positive]  # m, collision box: length, width, height
    camera_offset_flu: Vector3  # m from the centre of mass to the camera


class Rotor(_Section):
    """One rotor with its motor; all four are alike."""

    thrust: Positive  # k_eta, N/(rad/s)^2
    torque: Positive  # k_m, N m/(rad/s)^2
    drag: NotNegative  # k_d, kg/rad
    inflow: NotNegative  # k_z, kg/rad
    speed_max: Positive  # rad/s
    time_constant: Positive  # s


class Drag(_Section):
    """Parasitic drag of the frame along each body axis."""

    x: NotNegative  # N/(m/s)^2
    y: NotNegative  # N/(m/s)^2
    z: NotNegative  # N/(m/s)^2


class ControllerGains(_Section):
    """Setpoint shaping and gains of the velocity, attitude and rate cascade."""

    acceleration: Positive  # m/s^2, limit of the shaped velocity setpoint
    jerk: Positive  # m/s^3, limit of the shaped velocity setpoint
    yaw_acceleration: Positive  # rad/s^2, limit of the shaped yaw rate
    tilt: Annotated[float, Field(gt=0.0, lt=1.2)]  # rad, limit
    velocity: Positive  # 1/s
    velocity_integral: NotNegative  # 1/s^2
    attitude: Positive  # 1/s
    yaw: Positive  # 1/s
    rate: Positive  # 1/s
    yaw_rate: Positive  # 1/s


class Airframe(_Section):
    """A vehicle."""

    name: str
    description: str
    sources: dict[str, str]  # section or section.field -> where its numbers come from
    inertia: Inertia
    geometry: Geometry
    rotor: Rotor
    drag: Drag
    controller: ControllerGains

    @property
    def mass(self) -> float:
        """Mass in kg."""
        return self.inertia.mass


def airframe_names() -> list[str]:
    """Names of the airframes that ship."""
    folder = resources.files("navstack.envs.vehicle") / "airframes"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_airframe(name_or_path: str | os.PathLike[str]) -> Airframe:
    """The airframe with this name, or in this YAML file. Raises InputError that says what is wrong where."""
    name = os.fspath(name_or_path)
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return load_yaml_model(Path(name), Airframe)
    names = airframe_names()
    if name not in names:
        raise InputError(f"airframe '{name}' not found{nearest(name, names)} (airframes: {', '.join(names)})")
    with resources.as_file(resources.files("navstack.envs.vehicle") / "airframes" / f"{name}.yaml") as path:
        return load_yaml_model(path, Airframe)
