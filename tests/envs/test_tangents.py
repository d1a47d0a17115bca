"""Shortest ways among discs: as long as they say, shorter than none that is possible, and complete."""

from __future__ import annotations

import math

import networkx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from navstack.envs.experts.tangents import TangentGraph, clear

STEP = 0.02  # m


def scattered(rng: np.random.Generator, number: int) -> np.ndarray:
    """Discs of several sizes that do not overlap."""
    discs: list[tuple[float, float, float]] = []
    for _ in range(2000):
        x, y, radius = *rng.uniform(-8.0, 8.0, 2).tolist(), float(rng.uniform(0.4, 1.5))
        if len(discs) < number and all(math.hypot(x - a, y - b) > radius + c + 0.05 for a, b, c in discs):
            discs.append((x, y, radius))
    return np.array(discs)


def outside(rng: np.random.Generator, discs: np.ndarray) -> np.ndarray:
    while True:
        point = rng.uniform(-9.0, 9.0, 2)
        if (np.hypot(*(discs[:, :2] - point).T) > discs[:, 2] + 0.01).all():
            return point


def by_corners(discs: np.ndarray, start: np.ndarray, goals: np.ndarray, corners: int = 40) -> float:
    """Length of the shortest way over corners of polygons around the discs: hardly longer than along arcs."""
    angles = np.arange(corners) * math.tau / corners
    around = np.column_stack((np.cos(angles), np.sin(angles)))
    radii = discs[:, 2] / math.cos(math.pi / corners) * 1.0001
    points = (discs[:, None, :2] + radii[:, None, None] * around[None]).reshape(-1, 2)
    points = np.vstack((start, goals, points))
    one, other = np.triu_indices(len(points), 1)
    free = clear(points[one], points[other], discs)
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(points)))
    lengths = np.hypot(*(points[one] - points[other]).T)
    graph.add_weighted_edges_from(
        (int(a), int(b), float(c)) for a, b, c in zip(one[free], other[free], lengths[free], strict=True)
    )
    away = networkx.single_source_dijkstra_path_length(graph, 0)
    return min(away.get(1 + goal, math.inf) for goal in range(len(goals)))


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_way_is_the_shortest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    discs = scattered(rng, int(rng.integers(1, 7)))
    start = outside(rng, discs)
    goals = np.array([outside(rng, discs) for _ in range(2)])
    way, bound = TangentGraph(discs, goals).way(*start), by_corners(discs, start, goals)
    assert way is not None
    assert 0.985 * bound <= way.length <= bound + 1e-6


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_who_follows_it_comes_nearer_by_every_metre(seed: int) -> None:
    rng = np.random.default_rng(seed)
    discs = scattered(rng, int(rng.integers(1, 12)))
    point, goals = outside(rng, discs), np.array([outside(rng, discs)])
    graph = TangentGraph(discs, goals)
    way = graph.way(*point)
    assert way is not None
    before = way.length
    for _ in range(round(before / STEP) - 2):
        point = point + STEP * np.array((math.cos(way.direction), math.sin(way.direction)))
        gaps = np.hypot(*(discs[:, :2] - point).T) - discs[:, 2]
        nearest = int(gaps.argmin())
        assert gaps[nearest] > -(STEP**2)  # a straight step along an arc
        if gaps[nearest] < 0.0:
            center, radius = discs[nearest, :2], discs[nearest, 2]
            point = center + (point - center) * (radius + 1e-9) / np.hypot(*(point - center))
        way = graph.way(*point)
        assert way is not None
        assert way.length == pytest.approx(before - STEP, abs=5e-4)
        before = way.length


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 3))
def test_where_nothing_is_in_the_way_it_goes_straight(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    discs = scattered(rng, count).reshape(-1, 3)
    start, goal = outside(rng, discs), outside(rng, discs)
    assume(clear(start[None], goal[None], discs)[0])
    way = TangentGraph(discs, goal[None]).way(*start)
    assert way is not None
    assert way.length == pytest.approx(math.hypot(*(goal - start)))
    assert math.remainder(way.direction - math.atan2(*(goal - start)[::-1]), math.tau) == pytest.approx(0.0)


def test_without_a_goal_there_is_no_way() -> None:
    assert TangentGraph(np.array(((0.0, 0.0, 1.0),)), np.empty((0, 2))).way(3.0, 0.0) is None


def test_a_segment_that_touches_a_disc_does_not_cross_it() -> None:
    discs = np.array(((0.0, 0.0, 1.0),))
    start = np.array(((-2.0, 1.0), (-2.0, 0.99), (-2.0, 0.0), (-3.0, 0.0)))
    end = np.array(((2.0, 1.0), (2.0, 0.99), (2.0, 0.0), (-2.0, 0.0)))
    assert clear(start, end, discs).tolist() == [True, False, False, True]
