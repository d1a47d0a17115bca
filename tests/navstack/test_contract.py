"""Types, units and frames that every part shares."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import ZERO_COMMAND, CameraSpec, Limits, PolicyCard, VehicleState, VelocityCommand

numbers = st.floats(-100, 100)
commands = st.builds(VelocityCommand, numbers, numbers, numbers, numbers)
positive = st.floats(0, 50)
all_limits = st.builds(Limits, positive, positive, positive, positive)


def state(
    orientation: tuple[float, float, float, float], velocity: tuple[float, float, float]
) -> VehicleState:
    return VehicleState(0.0, (0.0, 0.0, 0.0), velocity, orientation, (0.0, 0.0, 0.0))


@given(commands)
def test_a_command_is_an_array_of_forward_left_up_and_yaw_rate(command: VelocityCommand) -> None:
    array = command.as_array()
    assert array.dtype == np.float32
    expected = [command.forward, command.left, command.up, command.yaw_rate]
    np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-30)
    again = VelocityCommand.from_array(array)
    np.testing.assert_array_equal(again.as_array(), array)
    assert all(type(getattr(again, field.name)) is float for field in fields(again))


@pytest.mark.parametrize("shape", [(3,), (5,), (1, 4), (4, 1), ()])
def test_a_command_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"has shape \(4,\): forward, left, up, yaw_rate; found"):
        VelocityCommand.from_array(np.zeros(shape))


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_command_is_finite_when_all_of_it_is(index: int, value: float) -> None:
    values = [0.0] * 4
    assert VelocityCommand(*values).is_finite()
    values[index] = value
    assert not VelocityCommand(*values).is_finite()


@given(all_limits, commands)
def test_limits_bring_every_component_inside_and_change_no_other(
    limits: Limits, command: VelocityCommand
) -> None:
    clamped = limits.clamp(command)
    for field in fields(command):
        value, limit = getattr(command, field.name), getattr(limits, field.name)
        assert getattr(clamped, field.name) == (value if abs(value) <= limit else math.copysign(limit, value))
    assert limits.clamp(clamped) == clamped
    assert limits.clamp(ZERO_COMMAND) == ZERO_COMMAND


@given(st.floats(-math.pi, math.pi, exclude_min=True), st.floats(-1.2, 1.2), st.floats(-3, 3))
def test_yaw_is_the_heading_whatever_roll_and_pitch_are(yaw: float, pitch: float, roll: float) -> None:
    # q = yaw about z, then pitch about y, then roll about x
    cy, sy, cp, sp, cr, sr = (f(a / 2) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    orientation = (
        sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy, cr * cp * cy + sr * sp * sy,
    )  # fmt: skip
    found = state(orientation, (0.0, 0.0, 0.0)).yaw
    assert math.remainder(found - yaw, 2 * math.pi) == pytest.approx(0.0, abs=1e-6)


def test_speed_is_the_velocitys_magnitude() -> None:
    assert state((0.0, 0.0, 0.0, 1.0), (2.0, -3.0, 6.0)).speed == pytest.approx(7.0)


def test_the_default_camera_sees_80_by_58_degrees() -> None:
    camera = CameraSpec()
    assert (camera.width, camera.height, camera.color_order, camera.pitch) == (96, 64, "RGB", 0.0)
    assert math.degrees(camera.horizontal_fov) == pytest.approx(80.0)
    # square pixels: tan of half the angle per pixel is the same across and down
    assert math.tan(camera.vertical_fov / 2) / 32 == pytest.approx(math.tan(math.radians(40)) / 48)


@pytest.mark.parametrize(
    "value", [ZERO_COMMAND, Limits(), CameraSpec(), state((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))]
)
def test_facts_do_not_change(value: object) -> None:
    name = next(iter(type(value).__slots__))  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, 1.0)


def test_two_cards_do_not_share_what_they_hold() -> None:
    one, other = (PolicyCard("t", (), "n", "w", 1, 0, 0, 0, 0, 0) for _ in range(2))
    one.training["seed"] = 1
    assert other.training == {}
