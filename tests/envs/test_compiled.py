"""The compiled inner loops compute what Python and numpy compute, to the last bit."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import astuple, fields

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.envs import compiled as compiled_module
from navstack.envs.atmosphere import Atmosphere
from navstack.envs.compiled import backend, compiled, stored
from navstack.envs.sensors import FAR, NEAR, camera_axes
from navstack.envs.vehicle import airframe_names, dynamics, load_airframe
from navstack.envs.vehicle.dynamics import Faults, Memory, flight_step, flown
from navstack.envs.worlds.scene import Fog, Sky
from navstack.errors import InputError

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(not compiled_module.COMPILED, reason="NUMBA_DISABLE_JIT is set")

from navstack.envs.compiled_atmosphere import CompiledAtmosphere, _faded  # noqa: E402


def direction(rng: np.random.Generator, size: int) -> tuple[float, ...]:
    vector = rng.normal(size=size)
    return tuple((vector / np.linalg.norm(vector)).tolist())


@pytest.mark.parametrize("name", airframe_names())
def test_a_physics_step_is_the_same_to_the_last_bit(name: str) -> None:
    """From anywhere: upside down, far from the setpoint, with rotors that saturate, with faults."""
    rng, airframe, machine = np.random.default_rng(len(name)), load_airframe(name), flight_step()
    assert machine is not flown
    for number in range(2000):
        wild = 10.0 ** rng.uniform(-3.0, 2.0)
        faults = Faults(
            rng.uniform(0.7, 1.3), tuple(rng.uniform(0.5, 1.0, 4).tolist()), rng.uniform(0.3, 1.0)
        )
        model = dynamics.model(airframe, faults, 1.0 / 240.0)
        memory = Memory(
            rng.uniform(-math.pi, math.pi),
            *rng.uniform(0.0, 2000.0, 4).tolist(),
            *(wild * rng.normal(size=len(fields(Memory)) - 5)).tolist(),
        )
        heading = rng.uniform(-math.pi, math.pi)
        arguments = (
            direction(rng, 4),
            *(tuple((wild * rng.normal(size=3)).tolist()) for _ in range(3)),
            (heading, math.cos(heading), math.sin(heading)),
            tuple(rng.uniform(-2.0, 2.0, 4).tolist()),
            tuple(rng.normal(size=3).tolist()) if number % 2 else (0.0, 0.0, 0.0),
        )
        record, constants = stored(memory), stored(model)
        for _ in range(3):  # and on from there
            assert machine(record, constants, *arguments) == flown([memory], [model], *arguments)
            assert record[0].tolist() == astuple(memory)


@given(st.floats(-30.0, 30.0), st.sampled_from([math.tau, 1.0, 0.75]))
@settings(max_examples=300)
def test_the_remainder_is_pythons(x: float, step: float) -> None:
    machine = compiled(math_remainder, (), (0.0, 0.0))
    for value in (x, float(round(x)), 0.5 * step * round(x), math.nextafter(0.5 * step * round(x), x)):
        assert machine(value, step) == math.remainder(value, step)


def math_remainder(x: float, step: float) -> float:
    return math.remainder(x, step)


def test_fog_takes_every_share_of_every_colour_as_opencv_does() -> None:
    values, shares = (each.astype(np.uint8) for each in np.meshgrid(np.arange(256), np.arange(256)))
    scaled = cv2.multiply(values, shares, scale=1.0 / 255.0)
    for added in (0, 1, 77, 255):
        expected = cv2.add(scaled, np.full_like(scaled, added))
        pixels = sum(values.astype(np.uint32) << shift for shift in (0, 8, 16))
        entries = (shares.astype(np.uint32) << 24) + np.uint32(added * 0x010101)
        found = _faded(pixels, entries)
        for shift in (0, 8, 16):
            assert np.array_equal((found >> shift) & 255, expected)


@pytest.mark.parametrize("seed", range(60))
def test_sky_and_fog_are_the_same_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (64, 96) if seed % 2 else rng.integers(8, 90, 2).tolist()
    fov = rng.uniform(0.5, 2.0)
    depth = rng.uniform(rng.choice((0.0, 0.9)), 1.0, (height, width)).astype(np.float32)
    depth[: int(rng.integers(0, height + 1))] = 1.0
    depth[rng.random((height, width)) < rng.choice((0.0, 0.3))] = 1.0
    depth[-1, 0] = np.float32(1.0 - 1e-6)
    fog = Fog(tuple(rng.uniform(0.0, 1.0, 3)), float(rng.choice((0.0, 0.01, 0.1))))
    sky = Sky(direction(rng, 3), direction(rng, 3), float(rng.choice((0.0, 0.3, 0.9))), seed)
    sky = Sky(tuple(map(abs, sky.zenith_color)), tuple(map(abs, sky.horizon_color)), sky.cloud_cover, seed)
    first = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    first[..., 3] = 255
    axes = camera_axes(direction(rng, 4) if seed % 3 == 0 else (0.0, 0.0, 0.0, 1.0), 0.1)  # type: ignore[arg-type]
    pictures = []
    for kind in (Atmosphere, CompiledAtmosphere):
        rgba = first.copy()
        kind(width, height, fov, NEAR, FAR).draw(rgba, depth, axes, sky, fog)
        pictures.append(rgba)
    assert np.array_equal(*pictures)


def test_without_a_folder_for_its_cache_it_compiles_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.caching import FunctionCache

    monkeypatch.setattr(FunctionCache._impl_class, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(doubled)
    assert compiled(doubled, (), (1.0,))(21.0) == 42.0


def doubled(x: float) -> float:
    return 2.0 * x


def test_a_numba_that_cannot_be_imported_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(InputError, match=r"^Numba is installed but cannot .* set NUMBA_DISABLE_JIT=1 to go"):
        compiled(doubled, (), (1.0,))


FLIGHTS = """
import hashlib, json, sys
from navstack.envs.compiled import backend
from navstack.envs.navigation import NavigationEnv
flights = {}
for number, (task, world, airframe, perturb) in enumerate(json.load(sys.stdin)):
    env = NavigationEnv(task=task, world=world, airframe=airframe, perturb=perturb, purpose="evaluate")
    observation, info = env.reset(seed=number)
    digest = hashlib.sha256()
    for step in range(30):
        digest.update(observation["image"].tobytes())
        digest.update(repr((info["state"], env.simulator.vehicle.rotor_speeds)).encode())
        observation, *_, info = env.step(info["expert_command"])
    flights[f"{task} {world} {airframe} {perturb}"] = digest.hexdigest()
    env.close()
print(json.dumps([backend(), flights]))
"""


def test_whole_flights_are_the_same_with_and_without_numba() -> None:
    cases = [
        ("FlyToTarget", "forest", "hummingbird", []),
        ("Chase", "hills", "crazyflie", ["gusts:4", "weak_rotor:3"]),
        ("Search", "night", "x500", ["velocity_drift:5", "slow_attitude:3"]),
        ("Gates", "fog", "hummingbird", ["mass_error:5"]),
    ]
    said = {}
    for switch in ("0", "1"):
        ran = subprocess.run(
            [sys.executable, "-c", FLIGHTS],
            input=json.dumps(cases),
            env={**os.environ, "NUMBA_DISABLE_JIT": switch},
            capture_output=True,
            text=True,
            check=True,
        )
        by, flights = json.loads(ran.stdout.splitlines()[-1])
        said[by] = flights
    assert list(said) == [f"numba {numba.__version__}", "python"]
    assert said["python"] == said[backend()]
    assert len(said["python"]) == len(cases)
