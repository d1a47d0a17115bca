"""Where a task wants things to be: what a world must place, and what it must keep free."""

from __future__ import annotations

from dataclasses import dataclass


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
class Layout:
    """What a task asks of a world."""

    targets: tuple[TargetPlacement, ...]
    corridors: tuple[Corridor, ...]
    center: tuple[float, float]  # m, ENU: objects scatter inside this disc
    radius: float  # m
