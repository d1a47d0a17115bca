"""Where a task wants things to be: what a world must place, and what it must keep free."""

from __future__ import annotations

from dataclasses import dataclass

from navstack.envs.worlds.objects import Size
from navstack.envs.worlds.spec import ObjectSpec


@dataclass(frozen=True, slots=True)
class Placed:
    """One thing in its place."""

    spec: ObjectSpec  # what it is and what it looks like
    x: float  # m, ENU
    y: float  # m, ENU
    yaw: float  # rad
    size: Size


@dataclass(frozen=True, slots=True)
class TargetPlacement:
    """One target on the ground."""

    kind: str  # chair, barrel, cone, box or ball
    x: float  # m, ENU
    y: float  # m, ENU
    yaw: float  # rad
    size: float  # m, height


@dataclass(frozen=True, slots=True)
class Corridor:
    """A capsule on the ground that no object may enter, its own radius included."""

    x0: float  # m, ENU
    y0: float
    x1: float
    y1: float
    radius: float  # m


@dataclass(frozen=True, slots=True)
class Prop:
    """One thing that a task adds to a world: a body of its own, which the task's scenery may move or hide."""

    kind: str  # one of objects.SHAPES, or "gate"
    x: float  # m, ENU
    y: float  # m, ENU
    yaw: float  # rad
    height: float  # m
    width: float  # m, the longest horizontal side
    color: tuple[float, float, float]  # RGB, 0 to 1
    texture: str = "plain"  # a procedural family of textures.py


@dataclass(frozen=True, slots=True)
class Layout:
    """What a task asks of a world."""

    targets: tuple[TargetPlacement, ...]
    corridors: tuple[Corridor, ...]
    center: tuple[float, float]  # m, ENU: objects scatter inside this disc
    radius: float  # m
    props: tuple[Prop, ...] = ()
    least_room: float = 0.0  # m, half the side that a room must have at least
    obstacles: tuple[Placed, ...] = ()  # stand where the task wants them, merged with the world's own
