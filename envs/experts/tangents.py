"""Shortest ways among discs to one of several goals: the tangent graph.

A shortest way among discs runs along straight lines that touch two of them and along arcs between those
lines (Liu and Arimoto, "Path planning using a tangent graph for mobile robots among polygonal and curved
obstacles", International Journal of Robotics Research 11(4), 1992). The graph is built once for a scene and
searched once, backwards from the goals (Dijkstra, by networkx). From there the way from any point is a look
at a table, so whoever steers by it has an answer for every state and not only along one way.

A disc is gone round counter-clockwise (+1) or clockwise (-1): a *ring* is a disc with one of the two senses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

GOAL = "goal"
TOUCH = 1e-6  # m: a line that touches a disc does not cross it


@dataclass(frozen=True, slots=True)
class Way:
    """The beginning of a shortest way."""

    direction: float  # rad, counter-clockwise from east
    length: float  # m to the goal; negative where the way there is backwards


def clear(start: Array, end: Array, discs: Array) -> npt.NDArray[np.bool_]:
    """Which of the segments cross no disc.

    Args:
        start: (N, 2) m.
        end: (N, 2) m.
        discs: (D, 3) x, y and radius in m.
    """
    along = end - start
    to_center = discs[None, :, :2] - start[:, None]
    length = np.maximum(np.einsum("nk,nk->n", along, along), 1e-18)
    share = np.clip(np.einsum("ndk,nk->nd", to_center, along) / length[:, None], 0.0, 1.0)
    gap = to_center - share[..., None] * along[:, None]
    return np.asarray((np.einsum("ndk,ndk->nd", gap, gap) >= (discs[:, 2] - TOUCH) ** 2).all(axis=1))


class TangentGraph:
    """Shortest ways to the nearest of several goals among discs that do not overlap.

    Args:
        discs: (D, 3) x, y and radius in m; no two of them overlap.
        goals: (G, 2) m, outside all discs.
    """

    def __init__(self, discs: Array, goals: Array) -> None:
        self._discs, self._goals = discs, goals
        count = len(discs)
        self._center = np.repeat(discs[:, :2], 2, axis=0)  # (2 D, 2), of each ring
        self._sense = np.tile((1.0, -1.0), count)  # (2 D,)
        self._radius = np.repeat(discs[:, 2], 2)  # (2 D,)
        # Lines by which a ring is left: the ring, the angle at which, and the length of the way from there.
        self._ring, self._angle, self._rest = self._search()

    def way(self, x: float, y: float) -> Way | None:
        """The shortest way from a point (m) outside all discs; None where there is none."""
        point = np.array((x, y))
        ways = [way for way in (self._straight(point), self._round(point)) if way is not None]
        return min(ways, key=lambda way: way.length, default=None)

    def _straight(self, point: Array) -> Way | None:
        """To the nearest goal that nothing is in the way to."""
        offset = self._goals - point
        length = np.hypot(*offset.T)
        length[~clear(np.broadcast_to(point, offset.shape), self._goals, self._discs)] = math.inf
        if not np.isfinite(length).any():
            return None
        nearest = int(length.argmin())
        return Way(math.atan2(offset[nearest, 1], offset[nearest, 0]), float(length[nearest]))

    def _round(self, point: Array) -> Way | None:
        """Along a line that touches a ring, and on from there."""
        here = np.broadcast_to(point, self._center.shape)
        line, length, start, end = _tangents(
            here, np.zeros(len(here)), self._center, self._sense * self._radius
        )
        length[~clear(start, end, self._discs)] = math.inf
        arrival = _angles(end - self._center)
        total = length[self._ring] + self._arc(arrival[self._ring]) + self._rest
        if not np.isfinite(total).any():
            return None
        best = int(total.argmin())
        ring = self._ring[best]
        return Way(math.atan2(line[ring, 1], line[ring, 0]), float(total[best]))

    def _arc(self, arrival: Array) -> Array:
        """Length round each leaving line's ring from an angle of arrival."""
        turn = self._sense[self._ring] * (self._angle - arrival)
        turn = np.mod(turn + 1e-9, math.tau) - 1e-9  # who arrives where the line leaves goes no way round
        return np.asarray(self._radius[self._ring] * turn)

    def _search(self) -> tuple[Numbers, Array, Array]:
        """The lines that leave each ring, and how long the way is from their beginnings."""
        rings, goals = len(self._sense), len(self._goals)
        signed = self._sense * self._radius
        one, other = (k.ravel() for k in np.meshgrid(np.arange(rings), np.arange(rings), indexing="ij"))
        apart = one // 2 != other // 2
        one, other = one[apart], other[apart]
        _, length, start, end = _tangents(self._center[one], signed[one], self._center[other], signed[other])
        free = clear(start, end, self._discs)
        between = (one[free], other[free], length[free], start[free], end[free])

        last, goal = (k.ravel() for k in np.meshgrid(np.arange(rings), np.arange(goals), indexing="ij"))
        _, length, start, end = _tangents(
            self._center[last], signed[last], self._goals[goal], np.zeros(len(goal))
        )
        free = clear(start, end, self._discs)
        final = (last[free], length[free], start[free])
        return self._costs(between, final)

    def _costs(
        self, between: tuple[Numbers, Numbers, Array, Array, Array], final: tuple[Numbers, Array, Array]
    ) -> tuple[Numbers, Array, Array]:
        one, other, length, start, end = between
        last, rest, leave = final
        leaving = np.concatenate((one, last))
        leaves_at = _angles(np.concatenate((start, leave)) - self._center[leaving])
        arrives_at = _angles(end - self._center[other])
        # Backwards: from the goal along lines to where they leave a ring, along it to arrivals, and so on.
        graph = networkx.DiGraph()
        graph.add_node(GOAL)
        lines = len(one)
        graph.add_weighted_edges_from((("in", k), ("out", k), float(length[k])) for k in range(lines))
        graph.add_weighted_edges_from((GOAL, ("out", lines + k), float(rest[k])) for k in range(len(last)))
        ring_of = np.concatenate((other, leaving))
        angle_of = self._sense[ring_of] * np.concatenate((arrives_at, leaves_at))
        names = [("in", k) for k in range(lines)] + [("out", k) for k in range(len(leaving))]
        for ring in np.unique(ring_of):
            members = np.flatnonzero(ring_of == ring)
            angles = np.mod(angle_of[members], math.tau)
            order = np.lexsort((members >= lines, np.round(angles, 9)))  # arrivals before what leaves there
            members, angles = members[order], angles[order]
            step = np.mod(np.roll(angles, -1) - angles, math.tau) * self._radius[ring]
            for place, (member, arc) in enumerate(zip(members, step, strict=True)):
                following = members[(place + 1) % len(members)]
                graph.add_edge(names[following], names[member], weight=float(arc))
        away = networkx.single_source_dijkstra_path_length(graph, GOAL)
        cost = np.array([away.get(("out", k), math.inf) for k in range(len(leaving))])
        known = np.isfinite(cost)
        return leaving[known], leaves_at[known], cost[known]


def _angles(offset: Array) -> Array:
    return np.asarray(np.arctan2(offset[:, 1], offset[:, 0]))


def _tangents(from_: Array, left: Array, to: Array, right: Array) -> tuple[Array, Array, Array, Array]:
    """Lines that touch two discs each: direction (N, 2), length (N,), and both ends (N, 2).

    Args:
        from_: (N, 2) centres.
        left: (N,) radii, positive where the disc is gone round counter-clockwise; 0 for a point.
        to: (N, 2) centres.
        right: (N,) as `left`, of the second disc.
    """
    between = to - from_
    across = right - left
    square = np.maximum(np.einsum("nk,nk->n", between, between), 1e-18)
    length = np.sqrt(np.maximum(square - across**2, 0.0))
    direction = between * length[:, None] + np.column_stack((between[:, 1], -between[:, 0])) * across[:, None]
    direction /= square[:, None]
    normal = np.column_stack((-direction[:, 1], direction[:, 0]))
    return direction, length, from_ - left[:, None] * normal, to - right[:, None] * normal
