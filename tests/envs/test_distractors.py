"""Distractors: what stands about, and that the right object has to be flown to."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks.distractors import RED_KINDS, SIZED_KINDS, Distractors
from navstack.envs.tasks.fly_to_target import StationJudge
from navstack.envs.worlds.layout import Prop
from navstack.envs.worlds.objects import Size
from navstack.envs.worlds.placing import Plan, distance_to_segment
from navstack.envs.worlds.spec import is_target_red, load_world
from navstack.results import SUCCESS

WORLDS = {name: load_world(name) for name in ("forest", "meadow", "urban")}

MARKERS = ("chair", "barrel", "cone", "box", "ball")


def sort_of(prop: Prop) -> str:
    """What a distractor shares with the target; fails for one that shares everything or nothing."""
    red = is_target_red(prop.color)
    assert not (red and prop.kind in MARKERS)
    if red:
        low, high = RED_KINDS[prop.kind]
        assert low <= prop.height <= high
        return "colour"
    assert 0.9 <= prop.height <= 1.3
    assert prop.kind in MARKERS + SIZED_KINDS
    return "shape" if prop.kind in MARKERS else "size"


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), difficulty=st.floats(0.0, 1.0))
def test_every_draw_obeys_the_published_numbers(seed: int, difficulty: float) -> None:
    scenario = Distractors().scenario(WORLDS["meadow"], np.random.default_rng(seed), difficulty)
    (x, y, _), (tx, ty, _), props = scenario.position_enu, scenario.target_enu, scenario.layout.props
    sorts = [sort_of(prop) for prop in props]
    assert 1 + round(2 * difficulty) <= len(props) <= 1 + round(5 * difficulty)
    if difficulty == 1.0:
        assert set(sorts) == {"colour", "shape", "size"}
    for number, prop in enumerate(props):
        radius = Size(prop.height, prop.width).radius
        assert 4.0 <= math.hypot(prop.x - x, prop.y - y) <= 12.0
        bearing = math.remainder(math.atan2(prop.y - y, prop.x - x) - scenario.yaw, math.tau)
        assert abs(bearing) <= math.radians(36.0) + 1e-9
        assert math.hypot(prop.x - tx, prop.y - ty) >= 3.0
        assert distance_to_segment(prop.x, prop.y, x, y, tx, ty) >= 1.6 + radius
        for other in props[:number]:
            gap = math.hypot(prop.x - other.x, prop.y - other.y) - Size(other.height, other.width).radius
            assert gap - radius >= 2.0


def test_the_worlds_own_objects_keep_clear_of_what_the_task_adds() -> None:
    for seed in range(5):
        layout = Distractors().scenario(WORLDS["forest"], np.random.default_rng(seed), 1.0).layout
        plan = Plan(WORLDS["forest"], layout)
        plan.scatter(np.random.default_rng(seed))
        assert len(plan.placed) > 30
        for prop in layout.props:
            gaps = [math.hypot(p.x - prop.x, p.y - prop.y) - p.size.radius for p in plan.placed]
            assert min(gaps) >= Size(prop.height, prop.width).radius


def test_all_sorts_are_there_at_full_difficulty() -> None:
    for seed in range(20):
        scenario = Distractors().scenario(WORLDS["urban"], np.random.default_rng(seed), 1.0)
        assert {sort_of(prop) for prop in scenario.layout.props} == {"colour", "shape", "size"}
        assert 3 <= len(scenario.layout.props) <= 6


@given(
    away=st.floats(2.2, 4.2), bearing=st.floats(-15.0, 15.0), yaw=st.floats(-math.pi, math.pi),
    apart=st.floats(3.0, 9.0), angle=st.floats(-math.pi, math.pi),
)  # fmt: skip
def test_no_place_is_in_front_of_two_things_three_metres_apart(
    away: float, bearing: float, yaw: float, apart: float, angle: float
) -> None:
    first = (away * math.cos(yaw + math.radians(bearing)), away * math.sin(yaw + math.radians(bearing)), 0.5)
    other = (first[0] + apart * math.cos(angle), first[1] + apart * math.sin(angle), 0.5)
    outcomes = []
    for target in (first, other):
        judge = StationJudge(target, 60.0)
        ends = [judge.update(0.5 * k, (0.0, 0.0, 1.8), (0.0, 0.0, 0.0), yaw) for k in range(6)]
        outcomes.append(SUCCESS in ends)
    assert outcomes != [True, True]


def test_the_expert_wins_in_every_library_world(world: str) -> None:
    assert expert_success(world, 2, 74_000, Conditions(env="Distractors")) == 2 * [SUCCESS]


def test_who_flies_to_a_distractor_and_stays_there_does_not_win() -> None:
    environment = NavigationEnv(task="Distractors", world="meadow", camera=False)
    for seed in range(4):
        _, info = environment.reset(seed=seed)
        prop = environment.simulator.scenario.layout.props[seed % 3]
        pilot = ApproachExpert((prop.x, prop.y, 0.5 * prop.height))
        while "outcome" not in info:
            *_, info = environment.step(pilot.command(info["state"]).as_array())
        assert info["outcome"] != SUCCESS
    environment.close()


def test_the_colours_are_seen() -> None:
    """In a picture there is red besides the target's, and a colour that no target has."""
    environment = NavigationEnv(task="Distractors", world="studio", purpose="evaluate")
    for seed in range(3):
        observation, _ = environment.reset(seed=seed)
        props = environment.simulator.scenario.layout.props
        image = observation["image"].astype(float) / 255.0
        for prop in props:
            hue = np.array(prop.color) / np.linalg.norm(prop.color)
            likeness = (image @ hue) / np.maximum(np.linalg.norm(image, axis=2), 1e-6)
            assert (likeness > 0.95).sum() >= 4, f"{prop.kind} of seed {seed} is not in the picture"
    environment.close()
