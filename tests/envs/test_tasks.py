"""What holds for every task, and what a task can do to a flight: parameters, moving bodies, disturbances."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from navstack.contract import CameraSpec, VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.simulator import PHYSICS_HZ, Simulator
from navstack.envs.stage import Stage
from navstack.envs.tasks import TASKS, make_task
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import FlyToTarget
from navstack.envs.tasks.parameters import converted
from navstack.envs.vehicle import DEFAULT_AIRFRAME, load_airframe
from navstack.envs.worlds.layout import Prop
from navstack.envs.worlds.spec import WorldSpec, load_world
from navstack.errors import InputError
from navstack.options import parse_options
from navstack.results import COLLISION
from navstack.timing import FrameTiming


def test_every_task_is_registered() -> None:
    registered = {name.split("/")[1] for name in gymnasium.registry if name.startswith("navstack/")}
    assert registered == {f"{name}-v0" for name in TASKS}


@pytest.mark.filterwarnings("ignore:.*recommend using a symmetric and normalized space.*")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("render_mode", [None, pytest.param("rgb_array", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TASKS)
def test_gymnasium_finds_nothing_wrong(name: str, render_mode: str | None) -> None:
    made = gymnasium.make(f"navstack.envs:navstack/{name}-v0", world="meadow", render_mode=render_mode)
    check_env(made.unwrapped, skip_render_check=True)
    made.close()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_which_parameters_it_has(name: str) -> None:
    with pytest.raises(InputError, match=rf"task '{name}' has no parameter 'q' \(its parameters: .+\)"):
        NavigationEnv(task=name, q="blue")


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'Search'"):
        make_task("Serch", {})


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [("2", float, 2.0), (3, float, 3.0), ("4", int, 4), (5.0, int, 5), ("No", bool, False),
     (True, bool, True), ("left", str, "left")],
)  # fmt: skip
def test_a_value_may_be_text(value: Any, kind: type, found: Any) -> None:
    assert converted("x", value, kind) == found
    assert type(converted("x", value, kind)) is kind


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [("two", float, "must be a number"), (math.nan, float, "must be a number"), (2.5, int, "whole number"),
     (True, int, "whole number"), ("maybe", bool, "true or false"), (1, bool, "true or false"),
     (None, float, "must be a number"), (1, str, "must be a word"), ("inf", int, "whole number")],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused(value: Any, kind: type, sentence: str) -> None:
    with pytest.raises(InputError, match=f"x is .*{sentence}"):
        converted("x", value, kind)


@pytest.mark.parametrize("text", ["distance", "=2", "distance=", " = "])
def test_an_option_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="name=value"):
        parse_options([text])


def test_an_option_is_given_once() -> None:
    assert parse_options(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(InputError, match="'a' is given twice"):
        parse_options(["a=1", "a=2"])


@dataclass(frozen=True)
class Staged:
    """FlyToTarget with a wall beside the way and scenery that acts."""

    scenery: Any
    name = "Staged"
    mirrors = False

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """As FlyToTarget, and a wall."""
        scenario = FlyToTarget().scenario(spec, rng, difficulty)
        x, y, _ = scenario.position_enu
        wall = Prop("wall", x + 30.0, y, 0.0, 6.0, 3.0, (0.1, 0.2, 0.9))
        return replace(scenario, layout=replace(scenario.layout, props=(wall,)))

    def roles(self, scenario: Scenario) -> Roles:
        """As FlyToTarget's, and the scenery."""
        return replace(FlyToTarget().roles(scenario), scenery=self.scenery)


@dataclass
class Scripted:
    """Scenery from a function of time and stage."""

    script: Any

    def act(self, time: float, stage: Stage) -> VelocityCommand | None:
        """Run the script."""
        return self.script(time, stage)


def staged(script: Any, world: str = "meadow") -> Simulator:
    task = Staged(None if script is None else Scripted(script))
    simulator = Simulator(
        load_world(world), load_airframe(DEFAULT_AIRFRAME), task, CameraSpec(), FrameTiming()
    )
    simulator.reset(np.random.default_rng(5), 0.0)
    return simulator


def test_scenery_that_does_nothing_changes_nothing() -> None:
    ends = []
    for script in (None, lambda time, stage: None):
        simulator = staged(script)
        simulator.command = VelocityCommand(0.5, 0.2, 0.1, 0.3)
        simulator.advance(PHYSICS_HZ)
        ends.append((simulator.capture().tobytes(), simulator.state()))
        simulator.close()
    assert ends[0] == ends[1]


def test_a_body_is_seen_where_it_was_moved_and_gone_when_hidden() -> None:
    simulator = staged(lambda time, stage: None)
    stage, (x, y, _), yaw = simulator._stage, simulator.scenario.position_enu, simulator.scenario.yaw

    def blue() -> int:
        image = simulator.capture().astype(int)
        return int(((image[..., 2] > 2 * image[..., 0]) & (image[..., 2] > 2 * image[..., 1])).sum())

    assert blue() == 0
    stage.move(stage.props[0], x + 3.0 * math.cos(yaw), y + 3.0 * math.sin(yaw), yaw + math.pi / 2)
    assert blue() > 2000
    stage.hide(stage.props[0])
    assert blue() == 0
    simulator.close()


def test_a_target_keeps_its_shape_where_it_is_moved() -> None:
    simulator = staged(lambda time, stage: None)
    (x, y, _), yaw = simulator.scenario.position_enu, simulator.scenario.yaw
    target, before = simulator.scenario.layout.targets[0], simulator.capture()
    simulator._stage.move(simulator._stage.targets[0], target.x, target.y, target.yaw)
    assert np.array_equal(simulator.capture(), before)
    distance = math.hypot(target.x - x, target.y - y)
    simulator._stage.move(
        simulator._stage.targets[0], x + distance * math.cos(yaw + 0.4), y + distance * math.sin(yaw + 0.4),
        target.yaw + 0.4,
    )  # fmt: skip
    reddish = [
        (image[..., 0].astype(int) > 2 * image[..., 1]) & (image[..., 0].astype(int) > 2 * image[..., 2])
        for image in (before, simulator.capture())
    ]
    first, second = (np.flatnonzero(mask.any(axis=0)) for mask in reddish)
    assert second.mean() < first.mean() - 15  # columns: 0.4 rad to the left
    heights = [int(mask.any(axis=1).sum()) for mask in reddish]
    assert heights[0] <= heights[1] <= heights[0] / math.cos(0.4) + 2  # off the axis a pinhole enlarges
    simulator.close()


def test_on_slopes_what_is_moved_stands_on_the_ground() -> None:
    simulator = staged(lambda time, stage: None, "hills")
    stage, scene = simulator._stage, simulator.scene
    assert scene.slopes is not None
    for thing in (stage.targets[0], stage.props[0]):
        for x, y in ((3.0, -8.0), (-9.0, 5.0)):
            stage.move(thing, x, y, 0.3)
            (_, _, low), (_, _, high) = pybullet.getAABB(thing.body, physicsClientId=simulator.client)
            ground = scene.ground_height(x, y)
            assert ground - 0.8 < low <= ground + 0.1  # nothing of its edge hangs in the air
            assert high > ground + 0.5
            assert simulator._tops[thing.row] == pytest.approx(
                scene.obstacles[thing.row, 3] + scene.ground_height(*scene.obstacles[thing.row, :2])
            )
    simulator.close()


@pytest.mark.parametrize("what", ["wall", "target"])
def test_a_body_that_drives_into_the_vehicle_is_a_collision(what: str) -> None:
    def script(time: float, stage: Stage) -> None:
        thing = stage.props[0] if what == "wall" else stage.targets[0]
        x, y, _ = start
        stage.move(thing, x - 4.0 + 3.0 * time, y, math.pi / 2)

    start = (
        FlyToTarget().scenario(load_world("meadow"), np.random.default_rng(5).spawn(4)[0], 0.0).position_enu
    )
    simulator = staged(script)
    simulator.command = VelocityCommand(0.0, 0.0, -0.6 if what == "target" else 0.0, 0.0)
    assert simulator.scenario.position_enu == start
    simulator.advance(2 * PHYSICS_HZ)
    assert simulator.outcome == COLLISION
    assert 0.8 < simulator.time < 1.5
    simulator.close()


def test_a_disturbance_is_flown_instead_of_the_command() -> None:
    simulator = staged(lambda time, stage: VelocityCommand(0.0, 0.0, 0.0, 1.0) if time <= 1.0 else None)
    yaw = simulator.scenario.yaw
    simulator.command = VelocityCommand(0.0, 0.0, 0.0, -1.0)
    simulator.advance(PHYSICS_HZ)
    assert math.remainder(simulator.state().yaw - yaw, math.tau) > 0.6
    assert simulator.state().angular_velocity_flu[2] > 0.8
    simulator.advance(2 * PHYSICS_HZ)
    assert simulator.state().angular_velocity_flu[2] < -0.8
    simulator.close()
