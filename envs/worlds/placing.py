"""Where everything stands, before anything is built: scattered at random, beside the way and never on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from navstack.envs.worlds.layout import Layout, Placed
from navstack.envs.worlds.objects import ASPECT, NARROWEST, Size
from navstack.envs.worlds.spec import ObjectSpec, WorldSpec
from navstack.errors import InputError

PLACEMENT_TRIES = 400


@dataclass(slots=True)
class Plan:
    """Where everything stands, before anything is built."""

    spec: WorldSpec
    layout: Layout
    placed: list[Placed] = field(default_factory=list)
    room: tuple[float, float] | None = None  # half size and height, m

    @property
    def cylinders(self) -> list[tuple[float, float, float, float]]:
        """Bounding cylinders: x, y, radius, height."""
        found = [(p.x, p.y, p.size.radius, p.size.height) for p in self.placed]
        if self.room is not None:
            half, height = self.room
            cx, cy = self.layout.center
            steps = np.arange(-half, half + 1.0, 1.0)
            for s in steps:
                found += [(cx + s, cy + t, 0.6, height) for t in (-half, half)]
                found += [(cx + t, cy + s, 0.6, height) for t in (-half, half)]
        return found

    def scatter(self, rng: np.random.Generator) -> None:
        """Draw how many of each kind stand where. Raises InputError where fewer fit than are asked for."""
        self.placed += self.layout.obstacles
        if self.spec.room is not None:
            half = max(float(rng.uniform(*self.spec.room.half_size)), self.layout.least_room)
            self.room = (half, float(rng.uniform(*self.spec.room.height)))
        radius = self.layout.radius
        area = (2.0 * self.room[0]) ** 2 if self.room else math.pi * radius**2
        for kind in (*self.spec.objects, *self.spec.distractors):
            if kind.count is not None:
                least, most = kind.count
                number = int(rng.integers(least, most + 1))
            else:
                assert kind.density is not None
                least, number = (
                    round(each * area / 100.0) for each in (kind.density[0], rng.uniform(*kind.density))
                )
            for done in range(number):
                if self._place(kind, rng):
                    continue
                if done >= least:  # as many as there is room for is within the range that was asked for
                    break
                raise InputError(
                    f"world '{self.spec.name}' asks for at least {least} of '{kind.kind}' and only {done} fit"
                    " beside the way; lower its density, count or width"
                )

    def _place(self, kind: ObjectSpec, rng: np.random.Generator) -> bool:
        """Put one thing where it is free; False where no free place was found."""
        height = float(rng.uniform(*kind.height))
        width = float(rng.uniform(*kind.width) if kind.width else height * rng.uniform(*ASPECT[kind.kind]))
        if kind.width:  # a width asked for may be less than the shape's own depth
            share, least = NARROWEST.get(kind.kind, (0.0, 0.0))
            width = max(width, share * height, least)
        size, yaw = Size(height, width), float(rng.uniform(-math.pi, math.pi))
        for _ in range(PLACEMENT_TRIES):
            x, y = self._draw_place(kind, rng)
            if self._free(x, y, size.radius):
                self.placed.append(Placed(kind, x, y, yaw, size))
                return True
        return False

    def _draw_place(self, kind: ObjectSpec, rng: np.random.Generator) -> tuple[float, float]:
        cx, cy = self.layout.center
        if kind.ring is not None:
            away, angle = rng.uniform(*kind.ring), rng.uniform(-math.pi, math.pi)
        elif self.room is not None:
            x, y = rng.uniform(-self.room[0] + 0.5, self.room[0] - 0.5, size=2)
            return cx + float(x), cy + float(y)
        else:
            away, angle = self.layout.radius * math.sqrt(rng.uniform()), rng.uniform(-math.pi, math.pi)
        return cx + away * math.cos(angle), cy + away * math.sin(angle)

    def _free(self, x: float, y: float, radius: float) -> bool:
        if self.room is not None:
            inside = self.room[0] - 0.3 - radius
            if abs(x - self.layout.center[0]) > inside or abs(y - self.layout.center[1]) > inside:
                return False
        for corridor in self.layout.corridors:
            if (
                distance_to_segment(x, y, corridor.x0, corridor.y0, corridor.x1, corridor.y1)
                < corridor.radius + radius
            ):
                return False
        for prop in self.layout.props:
            if math.hypot(x - prop.x, y - prop.y) < radius + Size(prop.height, prop.width).radius:
                return False
        # Crowns may touch; trunks, boxes and houses may not stand in each other.
        return all(math.hypot(x - p.x, y - p.y) > 0.75 * (radius + p.size.radius) for p in self.placed)


def distance_to_segment(x: float, y: float, x0: float, y0: float, x1: float, y1: float) -> float:
    """Distance (m) of a point from the straight line between two others."""
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    share = max(0.0, min(1.0, ((x - x0) * dx + (y - y0) * dy) / length)) if length else 0.0
    return math.hypot(x - x0 - share * dx, y - y0 - share * dy)
