"""A gate: a square frame on two posts, with an opening to fly through."""

from __future__ import annotations

import math

from navstack.envs.worlds.meshes import box
from navstack.envs.worlds.objects import Pen

OPENING = 1.6  # m, the side of the square
BAR = 0.15  # m, thickness and depth of the frame
OUTSIDE = OPENING + 2.0 * BAR  # m, width of the whole
FOOT = 0.6  # m that the posts reach into the ground, which may slope
POST_RADIUS = (
    0.45  # m, of the cylinder that stands for a post: so wide that who is in the opening is near one
)


def gate_height(middle: float) -> float:
    """Height (m) of a gate whose opening's middle is so high."""
    return middle + 0.5 * OPENING + BAR


def draw_gate(pen: Pen, height: float) -> None:
    """A gate so high (m) across the object's x axis: who flies along it passes the opening."""
    sill = height - 2.0 * BAR - OPENING
    for side in (-0.5, 0.5):
        pen.put(box(), (BAR, BAR, height + FOOT), (0.0, side * (OUTSIDE - BAR), -FOOT))
    for foot in (sill, height - BAR):
        pen.put(box(), (BAR, OPENING, BAR), (0.0, 0.0, foot))


def gate_cylinders(x: float, y: float, yaw: float, height: float) -> list[tuple[float, float, float, float]]:
    """Vertical cylinders (x, y, radius, height, in m) that stand for a gate: one around each post."""
    aside = 0.5 * (OUTSIDE - BAR)
    east, north = -aside * math.sin(yaw), aside * math.cos(yaw)
    return [(x + sign * east, y + sign * north, POST_RADIUS, height) for sign in (-1.0, 1.0)]
