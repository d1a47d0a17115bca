"""From specification to PyBullet: one seed makes one exact world, in as few bodies as can be.

All static objects are one mesh with one texture atlas (few draw calls) that is also the collision shape (one
compound is several times faster to step than many bodies); ground, targets and, where there is one, the path
are a body each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from navstack.contract import Image, Vector3
from navstack.envs.physics import pybullet
from navstack.envs.worlds.atlas import TILE_PIXELS, Atlas, Tiles
from navstack.envs.worlds.bodies import textured_body
from navstack.envs.worlds.drawing import draw, lamps_of, put_kind
from navstack.envs.worlds.ground import build_ground
from navstack.envs.worlds.layout import Layout, Prop, TargetPlacement
from navstack.envs.worlds.meshes import Mesh, MeshBuilder, box
from navstack.envs.worlds.objects import ASPECT, Pen, Size
from navstack.envs.worlds.placing import Plan
from navstack.envs.worlds.props import prop_cylinders, prop_looks, standing_radius, target_cylinders
from navstack.envs.worlds.scene import Fog, Lamp, Light, Panorama, Scene, Sky
from navstack.envs.worlds.spec import Room, WorldSpec
from navstack.envs.worlds.terrain import Slopes, draw_terrain
from navstack.envs.worlds.textures import draw_color, make_texture
from navstack.errors import InputError

VARIANTS = 3  # materials of each kind of object in one world
MOST_TRIANGLES = 400_000  # the library's worlds have up to a few thousand

TARGET_HEIGHT = {"chair": 1.1, "barrel": 1.05, "cone": 1.2, "box": 1.0, "ball": 1.1}  # m
TARGET_VARIATION = 0.08  # each way


@dataclass(frozen=True, slots=True)
class Statics:
    """What stands about, built."""

    body: int | None
    shining: int | None  # the part of it that shines by itself
    lamps: tuple[Lamp, ...]

    @property
    def bodies(self) -> tuple[int, ...]:
        """The bodies that there are."""
        return tuple(body for body in (self.body, self.shining) if body is not None)


def sample_target(spec: WorldSpec, rng: np.random.Generator) -> tuple[str, float]:
    """Kind and height (m) of a target of this world."""
    kind = spec.targets.kinds[rng.integers(len(spec.targets.kinds))]
    return kind, TARGET_HEIGHT[kind] * rng.uniform(1.0 - TARGET_VARIATION, 1.0 + TARGET_VARIATION)


def build_world(client: int, spec: WorldSpec, layout: Layout, rng: np.random.Generator) -> Scene:
    """Build one exact world on an empty physics server.

    Raises InputError when the world asks for more objects than fit.
    """
    place_rng, look_rng, air_rng, terrain_rng, lamp_rng = rng.spawn(5)
    terrain = draw_terrain(spec.ground.terrain, layout, terrain_rng) if spec.ground.terrain else None
    slopes = Slopes(terrain) if terrain else None
    plan = Plan(spec, layout)
    plan.scatter(place_rng)
    ground = build_ground(client, spec, layout, terrain, look_rng)
    statics = _build_statics(client, plan, slopes, look_rng, lamp_rng)
    targets = tuple(_build_target(client, target, slopes, look_rng) for target in layout.targets)
    obstacles = plan.cylinders
    obstacles += [c for t in layout.targets for c in target_cylinders(t, t.x, t.y, t.yaw)]
    obstacles += [c for p in layout.props for c in prop_cylinders(p, p.x, p.y, p.yaw)]
    return Scene(
        ground=ground[0],
        statics=(*ground[1:], *statics.bodies),
        targets=targets,
        obstacles=np.array(obstacles, dtype=np.float64).reshape(-1, 4),
        light=_light(spec, air_rng),
        sky=_sky(spec, air_rng),
        fog=_fog(spec, air_rng),
        wind_enu=_wind(spec, air_rng),
        slopes=slopes,
        props=_build_props(client, layout.props, slopes, look_rng),
        lamps=statics.lamps,
        shining=statics.shining,
    )


def _build_statics(
    client: int, plan: Plan, slopes: Slopes | None, rng: np.random.Generator, lamp_rng: np.random.Generator
) -> Statics:
    """Merge everything that was placed into one body, and what shines by itself into another."""
    side = plan.spec.atlas
    atlas, builder, shining = Atlas(rng, side), MeshBuilder(side), MeshBuilder(side)
    materials: dict[int, list[Tiles]] = {}
    lamps: list[Lamp] = []
    for placed in plan.placed:
        kind = placed.spec
        if id(kind) not in materials:
            materials[id(kind)] = [atlas.material(kind) for _ in range(VARIANTS)]
        tiles = materials[id(kind)][rng.integers(VARIANTS)]
        foot = slopes.foot(placed.x, placed.y, placed.size.radius) if slopes else 0.0
        pen = Pen(builder, placed.x, placed.y, placed.yaw, tiles.main, tiles.accent, foot, parts=tiles.parts)
        if kind.lamp is not None and lamp_rng.random() < kind.lamp.lit:
            pen = replace(pen, accent=tiles.shine, shining=shining)
            lamps += lamps_of(pen, kind, placed.size, lamp_rng)
        draw(kind, pen, placed.size, rng)
    if plan.room is not None and plan.spec.room is not None:
        _build_room(builder, atlas, plan.spec.room, plan.room, plan.layout.center)
    bodies = []
    for merged in (builder.merged(), shining.merged()):
        if merged is not None and len(merged.faces) > MOST_TRIANGLES:
            raise InputError(
                f"world '{plan.spec.name}' has {len(merged.faces)} triangles; {MOST_TRIANGLES} can be drawn"
                " in time: use fewer objects or simpler meshes"
            )
        bodies.append(None if merged is None else textured_body(client, merged, atlas.picture))
    return Statics(bodies[0], bodies[1], tuple(lamps))


def _build_room(
    builder: MeshBuilder, atlas: Atlas, room: Room, size: tuple[float, float], center: tuple[float, float]
) -> None:
    """Four walls, `size` being half their length and their height in m."""
    (half, height), (cx, cy) = size, center
    tile = atlas.tile(
        str(room.textures[atlas.rng.integers(len(room.textures))]), draw_color(room.colors, atlas.rng)
    )
    panels = max(2, round(half / 4.0))  # panels, so that the texture repeats along the wall
    step = 2.0 * half / panels
    for k in range(panels):
        s = -half + (k + 0.5) * step
        for sign in (-1.0, 1.0):
            builder.add(box(), (step, 0.3, height), 0.0, (cx + s, cy + sign * half, 0.0), tile)
            builder.add(box(), (step, 0.3, height), math.pi / 2, (cx + sign * half, cy + s, 0.0), tile)


def _build_target(
    client: int, target: TargetPlacement, slopes: Slopes | None, rng: np.random.Generator
) -> int:
    """A marker: saturated red, lightly worn."""
    color = _target_red(rng)
    builder = MeshBuilder(1)
    width = target.size * float(rng.uniform(*ASPECT[target.kind]))
    foot = slopes.foot(target.x, target.y, 0.5 * width) if slopes else 0.0
    pen = Pen(builder, target.x, target.y, target.yaw, 0, 0, foot)
    put_kind(target.kind, pen, Size(target.size, width), rng)
    mesh = builder.merged()
    assert mesh is not None
    picture = make_texture("noise", color, 0.12, TILE_PIXELS, rng)
    shade = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    shade = 0.88 + 0.12 * (shade - shade.min()) / max(1.0, float(np.ptp(shade)))
    worn = np.rint(255.0 * np.array(color) * shade[..., None]).astype(np.uint8)
    return textured_body(client, mesh, worn)


def _build_props(
    client: int, props: tuple[Prop, ...], slopes: Slopes | None, rng: np.random.Generator
) -> tuple[int, ...]:
    """A body each, whose own frame is the prop's: it stands where its base is put.

    Props that differ in nothing but their place look the same to the last pixel.
    """
    looks: dict[Prop, tuple[Mesh, Image]] = {}
    bodies = []
    for prop in props:
        look = replace(prop, x=0.0, y=0.0, yaw=0.0)
        if look not in looks:
            looks[look] = prop_looks(prop, TILE_PIXELS, rng)
        body = textured_body(client, *looks[look])
        orientation = (0.0, 0.0, math.sin(0.5 * prop.yaw), math.cos(0.5 * prop.yaw))
        foot = slopes.foot(prop.x, prop.y, standing_radius(prop)) if slopes else 0.0
        pybullet.resetBasePositionAndOrientation(
            body, (prop.x, prop.y, foot), orientation, physicsClientId=client
        )
        bodies.append(body)
    return tuple(bodies)


def _target_red(rng: np.random.Generator) -> Vector3:
    import colorsys

    hue = float(rng.uniform(-12.0, 12.0)) / 360.0
    return colorsys.hsv_to_rgb(hue % 1.0, float(rng.uniform(0.82, 1.0)), float(rng.uniform(0.65, 0.95)))


def _light(spec: WorldSpec, rng: np.random.Generator) -> Light:
    light = spec.light
    elevation, azimuth = math.radians(rng.uniform(*light.elevation)), rng.uniform(-math.pi, math.pi)
    first, second = (np.array(light.colors[i]) for i in rng.integers(len(light.colors), size=2))
    color = first + rng.uniform() * (second - first)
    flat = math.cos(elevation)
    return Light(
        direction_enu=(flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)),
        color=tuple(color.tolist()),
        ambient=float(rng.uniform(*light.ambient)),
        diffuse=float(rng.uniform(*light.diffuse)),
        specular=float(rng.uniform(*light.specular)),
        level=float(rng.uniform(*light.level)) if light.level != (1.0, 1.0) else 1.0,
    )


def _sky(spec: WorldSpec, rng: np.random.Generator) -> Sky:
    sky = spec.sky
    drawn = Sky(
        zenith_color=draw_color(sky.zenith, rng),
        horizon_color=draw_color(sky.horizon, rng),
        cloud_cover=float(rng.uniform(*sky.clouds)),
        seed=int(rng.integers(2**31)),
    )
    more = np.random.default_rng(drawn.seed)
    if sky.glow != (0.0, 0.0):
        drawn = replace(drawn, glow=float(more.uniform(*sky.glow)))
    if sky.images:
        image = sky.images[more.integers(len(sky.images))]
        turn = float(more.uniform(-math.pi, math.pi))
        drawn = replace(drawn, panorama=Panorama(image.file, image.crop, math.radians(image.width), turn))
    return drawn


def _fog(spec: WorldSpec, rng: np.random.Generator) -> Fog:
    return Fog(color=draw_color(spec.fog.colors, rng), density=float(rng.uniform(*spec.fog.density)))


def _wind(spec: WorldSpec, rng: np.random.Generator) -> Vector3:
    speed, direction = rng.uniform(*spec.wind), rng.uniform(-math.pi, math.pi)
    return (float(speed * math.cos(direction)), float(speed * math.sin(direction)), 0.0)
