"""Imperfect vehicles and moving air: the spectra are the standard's, and the vehicle feels what is said."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from navstack.contract import VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.perturb import PERTURBATIONS, Perturbation
from navstack.envs.perturb.vehicle import DRIFT_TIME, FEET, Drift, Gusts, PerturbedVehicle, dryden
from navstack.envs.physics import pybullet
from navstack.envs.simulator import PHYSICS_HZ
from navstack.envs.vehicle import GRAVITY, Quadrotor, load_airframe
from navstack.envs.vehicle.quadrotor import NO_FAULTS, Faults

Array = npt.NDArray[np.float64]
HOVER = np.zeros(4, dtype=np.float32)
VEHICLE = [name for name, kind in PERTURBATIONS.items() if kind.family == "vehicle"]


@pytest.mark.parametrize(("feet", "ratio"), [(10.0, 0.177 + 0.00823), (200.0, 0.177 + 0.1646)])
def test_intensities_and_lengths_are_the_standards(feet: float, ratio: float) -> None:
    (sigma_u, sigma_w), (length_u, length_w) = dryden(feet * FEET, 15.4)
    assert sigma_w == pytest.approx(1.54)
    assert sigma_u == pytest.approx(1.54 / ratio**0.4)
    assert length_w / FEET == pytest.approx(feet)
    assert length_u / FEET == pytest.approx(feet / ratio**1.2)


def test_below_ten_feet_the_air_is_that_of_ten_feet() -> None:
    assert dryden(0.5, 15.4) == dryden(10.0 * FEET, 15.4)


def spectrum(signal: Array, step: float, length: int) -> tuple[Array, Array]:
    """One-sided spectral density over angular frequency (Welch): its integral is the variance."""
    pieces = signal[: len(signal) // length * length].reshape(-1, length)
    window = np.hanning(length)
    power = np.abs(np.fft.rfft((pieces - pieces.mean()) * window, axis=1)) ** 2
    density = 2.0 * power.mean(axis=0) * step / (window**2).sum() / math.tau
    return math.tau * np.fft.rfftfreq(length, step), density


def test_the_spectra_are_drydens() -> None:
    step, speed, height, wind20 = 0.02, 8.0, 6.0, 15.4
    gusts = Gusts(wind20, 0.0, step, np.random.default_rng(1))
    gusts.prepare(height, speed)
    found = np.array([gusts.advance() for _ in range(400_000)])
    (sigma_u, sigma_w), (length_u, length_w) = dryden(height, wind20)
    omega, _ = spectrum(found[:, 0], step, 4096)
    inside = (omega > 0.05) & (omega < 15.0)  # below, the windows are too short; above, the steps too long
    for axis, sigma, length in ((0, sigma_u, length_u), (1, sigma_u, length_u), (2, sigma_w, length_w)):
        lag = length / speed
        scale = 2.0 * sigma**2 * lag / math.pi
        if axis == 0:
            wanted = scale / (1.0 + (lag * omega) ** 2)
        else:
            wanted = 0.5 * scale * (1.0 + 3.0 * (lag * omega) ** 2) / (1.0 + (lag * omega) ** 2) ** 2
        _, density = spectrum(found[:, axis], step, 4096)
        ratio = np.log(density[inside] / wanted[inside])
        assert abs(ratio.mean()) < 0.03
        assert np.abs(ratio).mean() < 0.12  # about 97 windows, each a tenth of its value uncertain
        assert found[:, axis].std() == pytest.approx(sigma, rel=0.1)


def test_the_mean_wind_turns_the_gusts_with_it() -> None:
    turned, straight = (Gusts(15.4, angle, 0.02, np.random.default_rng(4)) for angle in (math.pi / 2, 0.0))
    for _ in range(50):
        (x, y, z), (a, b, c) = turned.advance(), straight.advance()
        assert (x, y, z) == pytest.approx((-b, a, c))


def test_a_drift_wanders_as_far_and_as_slowly_as_said() -> None:
    drift = Drift(0.2, 0.5, np.random.default_rng(0))
    errors = np.array([drift.advance() for _ in range(40_000)])
    assert errors.std(axis=0) == pytest.approx([0.2] * 3, rel=0.08)
    later = (errors[:-16] * errors[16:]).mean() / (errors**2).mean()  # 8 s apart
    assert later == pytest.approx(math.exp(-8.0 / DRIFT_TIME), abs=0.05)


def hovered(*perturb: str, seconds: float = 4.0, seed: int = 2) -> tuple[NavigationEnv, Array]:
    """An environment after a hover, and the positions on the way."""
    environment = NavigationEnv(world="park", purpose="evaluate", perturb=perturb, camera=False)
    _, info = environment.reset(seed=seed)
    positions = [info["state"].position_enu]
    for _ in range(round(20 * seconds)):
        *_, info = environment.step(HOVER)
        positions.append(info["state"].position_enu)
    return environment, np.array(positions)


@pytest.mark.parametrize("name", VEHICLE)
def test_a_vehicles_imperfection_is_felt_survived_and_repeatable(name: str) -> None:
    environment, way = hovered(f"{name}:3")
    assert environment.simulator.outcome is None
    environment.close()
    again, same = hovered(f"{name}:3")
    again.close()
    plain, straight = hovered()
    plain.close()
    assert np.array_equal(way, same)
    assert not np.array_equal(way, straight)
    assert np.linalg.norm(way - straight, axis=1).max() < 3.0


def test_a_weak_rotor_turns_faster_for_the_same_thrust() -> None:
    environment, _ = hovered("weak_rotor:4", seconds=6.0)
    speeds = np.sort(environment.simulator.vehicle.rotor_speeds)
    environment.close()
    assert speeds[3] / speeds[:3].mean() == pytest.approx(1.0 / math.sqrt(0.8), rel=0.02)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_rotors_carry_the_weight_that_is_there(seed: int) -> None:
    environment, _ = hovered("mass_error:3", seconds=6.0, seed=seed)
    vehicle = environment.simulator.vehicle
    thrust = vehicle.airframe.rotor.thrust * sum(speed**2 for speed in vehicle.rotor_speeds)
    environment.close()
    share = thrust / (vehicle.airframe.mass * 9.81)
    assert min(abs(share - 0.85), abs(share - 1.15)) < 0.03


def test_a_soft_attitude_controller_answers_later() -> None:
    def tilt_after(faults: Faults) -> float:
        client = pybullet.connect(pybullet.DIRECT)
        pybullet.setGravity(0.0, 0.0, -GRAVITY, physicsClientId=client)
        pybullet.setTimeStep(1.0 / PHYSICS_HZ, physicsClientId=client)
        quad = Quadrotor(client, load_airframe("hummingbird"), PHYSICS_HZ)
        quad.spawn((0.0, 0.0, 5.0), 0.0, faults)
        for _ in range(PHYSICS_HZ // 5):
            quad.actuate(VelocityCommand(1.5, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
            pybullet.stepSimulation(physicsClientId=client)
            quad.read()
        pybullet.disconnect(client)
        return 2.0 * math.asin(quad.orientation[1])

    assert 0.0 < tilt_after(Faults(attitude=0.3)) < 0.7 * tilt_after(NO_FAULTS)


def test_steady_wind_comes_on_top_of_the_worlds() -> None:
    air = PerturbedVehicle([(Perturbation("wind", 2), np.random.default_rng(0))], 1.0 / 240.0)
    x, y, z = air.wind((1.0, 2.0, 0.0))
    assert math.hypot(x - 1.0, y - 2.0) == pytest.approx(3.5)
    assert z == 0.0
    assert air.velocity_error() is None
