"""Airframe files: every number of a vehicle, with its source."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from navstack.envs.yaml_files import load_yaml_model
from navstack.errors import InputError, nearest

DEFAULT_AIRFRAME = "hummingbird"
GRAVITY = 9.81  # m/s^2
# Largest moment over the sum of the others: 1 at most, but the Crazyflie's published ones reach 1.01.
PLAUSIBLE = 1.02

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inertia(_Section):
    """Mass and principal moments about the centre of mass."""

    mass: Positive = Field(description="kg")
    ixx: Positive = Field(description="kg m^2")
    iyy: Positive = Field(description="kg m^2")
    izz: Positive = Field(description="kg m^2")

    @model_validator(mode="after")
    def _a_body_can_have_them(self) -> Self:
        ordered = sorted((self.ixx, self.iyy, self.izz))
        if ordered[2] > PLAUSIBLE * (ordered[0] + ordered[1]):
            raise ValueError("one of ixx, iyy, izz is more than the other two together, which no body has")
        return self


class Geometry(_Section):
    """Where things are."""

    arm: Positive = Field(description="m from the centre of mass to a rotor; the four stand in an X")
    body: tuple[Positive, Positive, Positive] = Field(
        description="[length, width, height] of the collision box, m"
    )
    camera_offset_flu: tuple[Finite, Finite, Finite] = Field(
        description="[forward, left, up] from the centre of mass to the camera, m"
    )


class Rotor(_Section):
    """One rotor with its motor; all four are alike."""

    thrust: Positive = Field(description="k_eta, N/(rad/s)^2")
    torque: Positive = Field(description="k_m, N m/(rad/s)^2")
    drag: NotNegative = Field(description="k_d, kg/rad")
    inflow: NotNegative = Field(description="k_z, kg/rad")
    speed_max: Positive = Field(description="rad/s, where a rotor saturates")
    time_constant: Positive = Field(description="s, of the first-order lag of the rotor speed")


class Drag(_Section):
    """Parasitic drag of the frame along each body axis."""

    x: NotNegative = Field(description="c_x, N/(m/s)^2")
    y: NotNegative = Field(description="c_y, N/(m/s)^2")
    z: NotNegative = Field(description="c_z, N/(m/s)^2")


class ControllerGains(_Section):
    """Setpoint shaping and gains of the velocity, attitude and rate cascade."""

    acceleration: Positive = Field(description="m/s^2, limit of the shaped velocity setpoint")
    jerk: Positive = Field(description="m/s^3, limit of the shaped velocity setpoint")
    yaw_acceleration: Positive = Field(description="rad/s^2, limit of the shaped yaw rate")
    tilt: Annotated[float, Field(gt=0.0, lt=1.2)] = Field(description="rad, limit")
    velocity: Positive = Field(description="1/s, acceleration per velocity error")
    velocity_integral: NotNegative = Field(description="1/s^2, its integral")
    attitude: Positive = Field(description="1/s, body rate per tilt error")
    yaw: Positive = Field(description="1/s, yaw rate per heading error")
    rate: Positive = Field(description="1/s, angular acceleration per error of the roll and pitch rates")
    yaw_rate: Positive = Field(description="1/s, angular acceleration per error of the yaw rate")


class Airframe(_Section):
    """A vehicle."""

    name: str
    description: str
    sources: dict[str, str] = Field(description="section or section.field: where its numbers come from")
    inertia: Inertia
    geometry: Geometry
    rotor: Rotor
    drag: Drag
    controller: ControllerGains

    @field_validator("rotor")
    @classmethod
    def _it_can_take_off(cls, rotor: Rotor, others: ValidationInfo) -> Rotor:
        if "inertia" in others.data:
            lift, weight = 4.0 * rotor.thrust * rotor.speed_max**2, others.data["inertia"].mass * GRAVITY
            if not weight < lift < float("inf"):
                raise ValueError(
                    f"four rotors lift 4 thrust speed_max^2 = {lift:.3g} N, which must be more than "
                    f"the weight of {weight:.3g} N (inertia.mass)"
                )
        return rotor

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
