"""The world file: a distribution over places, as pydantic models.

A world file and a seed give one exact world. Ranges are drawn uniformly; a list of colours or textures means
that any of them may come, and a colour is drawn between two of its list.
"""

from __future__ import annotations

import colorsys
import os
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from navstack.envs.worlds.files import check_image, check_mesh, existing, is_file
from navstack.envs.yaml_files import load_yaml_model
from navstack.errors import InputError, nearest

TARGET_HUE = 15.0 / 360.0  # a marker's hue is within this of red, and nothing else's is

Split = Literal["train", "dev", "held-out"]
Family = Literal[
    "plain", "grass", "snow", "leaves", "asphalt", "brick", "concrete", "bark", "wood", "gravel", "field",
    "noise", "stripes", "checks", "spots", "cells", "any",
]  # fmt: skip
ObjectKind = Literal[
    "tree", "conifer", "bush", "rock", "pole", "lamp", "house", "building", "wall", "crate", "shelf", "fence",
    "hay_bale", "car", "bench", "desk", "umbrella", "cactus", "palm", "barrel", "cone", "box", "ball",
    "chair", "mesh",
]  # fmt: skip
TargetKind = Literal["chair", "barrel", "cone", "box", "ball"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Color = tuple[Share, Share, Share]
Palette = Annotated[list[Color], Field(min_length=1, max_length=32)] | Literal["any"]


def is_target_red(color: tuple[float, float, float]) -> bool:
    """Whether a colour (RGB, 0 to 1) could be taken for a marker's saturated red."""
    hue, saturation, value = colorsys.rgb_to_hsv(*color)
    return min(hue, 1.0 - hue) <= TARGET_HUE and saturation > 0.55 and value > 0.3


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _checked_palette(palette: Palette) -> Palette:
    if palette != "any":
        for color in palette:
            if is_target_red(color):
                raise ValueError(
                    f"the colour {list(color)} is a marker's saturated red, which only targets may have;"
                    " choose a hue more than 15 degrees from red, or a paler or darker one"
                )
    return palette


def _ordered(low_high: tuple[float, float]) -> tuple[float, float]:
    if low_high[0] > low_high[1]:
        raise ValueError(f"the range {list(low_high)} must rise: [low, high]")
    return low_high


def _range(low: float, high: float) -> type[tuple[float, float]]:
    bound = Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]
    return Annotated[tuple[bound, bound], Field(description=f"[low, high] within {low:g} and {high:g}")]  # type: ignore


Crop = tuple[Share, Share, Share, Share]


def _checked_crop(crop: Crop | None) -> Crop | None:
    if crop is not None and not (crop[0] + 0.01 <= crop[2] and crop[1] + 0.01 <= crop[3]):
        raise ValueError(
            f"the crop {list(crop)} must be [left, top, right, bottom] with a width and a height"
        )
    return crop


class Texture(_Section):
    """A procedural family tinted by a palette, or an image file."""

    family: Family | None = None
    file: str | None = None
    colors: Palette | None = None  # of a family: middle grey; an image is tinted by them where they are given
    crop: Crop | None = None  # of an image: [left, top, right, bottom] as shares of it
    contrast: Annotated[float, Field(ge=0.0, le=1.0)] = 0.4
    tile: _range(0.2, 50.0) = (2.0, 5.0)  # type: ignore[valid-type]  # m a repeat covers on the ground

    @field_validator("colors")
    @classmethod
    def _no_red(cls, colors: Palette | None) -> Palette | None:
        return None if colors is None else _checked_palette(colors)

    _crop = field_validator("crop")(_checked_crop)
    _tile = field_validator("tile")(_ordered)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.family is None) == (self.file is None):
            raise ValueError("give either 'family' or 'file'")
        if self.crop is not None and self.file is None:
            raise ValueError("'crop' is a part of an image: it belongs to 'file'")
        return self

    @field_validator("file")
    @classmethod
    def _readable(cls, file: str | None, info: ValidationInfo) -> str | None:
        return None if file is None else existing(file, info, check_image)


class GroundPath(_Section):
    """A straight strip of another ground, such as a path or a road."""

    probability: Share = 0.5
    width: _range(0.5, 20.0) = (2.0, 5.0)  # type: ignore[valid-type]  # m
    textures: Annotated[list[Texture], Field(min_length=1)]

    _width = field_validator("width")(_ordered)


class TerrainSpec(_Section):
    """Ground that is not flat."""

    pattern: Literal["hills", "dunes"] = "hills"
    relief: _range(0.0, 12.0) = (1.0, 4.0)  # type: ignore[valid-type]  # m from lowest to highest, where things stand
    scale: _range(12.0, 100.0) = (20.0, 50.0)  # type: ignore[valid-type]  # m from crest to crest
    steepest: Annotated[float, Field(ge=0.05, le=0.5)] = 0.25  # rise over run; relief gives way to it

    _ranges = field_validator("relief", "scale")(_ordered)


class Ground(_Section):
    """What lies below."""

    textures: Annotated[list[Texture], Field(min_length=1)]
    path: GroundPath | None = None
    terrain: TerrainSpec | None = None


class SkyImage(_Section):
    """A photograph on the horizon, mirrored from repeat to repeat so that its edges meet."""

    file: str
    crop: Crop | None = None
    width: Annotated[float, Field(ge=20.0, le=360.0)] = 60.0  # degrees that a repeat spans, about

    _crop = field_validator("crop")(_checked_crop)

    @field_validator("file")
    @classmethod
    def _readable(cls, file: str, info: ValidationInfo) -> str:
        return existing(file, info, check_image)


class SkySpec(_Section):
    """What stands behind everything."""

    zenith: Palette
    horizon: Palette
    clouds: _range(0.0, 1.0) = (0.0, 0.6)  # type: ignore[valid-type]  # cover
    glow: _range(0.0, 1.0) = (0.0, 0.0)  # type: ignore[valid-type]  # of the sky around the sun
    images: list[SkyImage] = []  # one of them stands on the horizon all around, in place of clouds

    _colors = field_validator("zenith", "horizon")(_checked_palette)
    _clouds = field_validator("clouds", "glow")(_ordered)


class LightSpec(_Section):
    """The one light."""

    elevation: _range(5.0, 90.0) = (25.0, 70.0)  # type: ignore[valid-type]  # degrees
    colors: Annotated[list[Color], Field(min_length=1)] = [(1.0, 1.0, 1.0)]
    ambient: _range(0.2, 1.0) = (0.45, 0.6)  # type: ignore[valid-type]
    diffuse: _range(0.0, 1.0) = (0.35, 0.55)  # type: ignore[valid-type]
    specular: _range(0.0, 0.3) = (0.0, 0.05)  # type: ignore[valid-type]
    level: _range(0.02, 1.0) = (1.0, 1.0)  # type: ignore[valid-type]  # share that darkness leaves of it

    _ranges = field_validator("elevation", "ambient", "diffuse", "specular", "level")(_ordered)


class FogSpec(_Section):
    """Exponential fog."""

    density: _range(0.0, 0.08) = (0.0, 0.0)  # type: ignore[valid-type]  # per metre
    colors: Palette = [(0.75, 0.78, 0.8)]

    _density = field_validator("density")(_ordered)
    _colors = field_validator("colors")(_checked_palette)


class LampSpec(_Section):
    """The light of things that shine: their accents glow, and one point light stands at each."""

    lit: Share = 1.0  # share of the things that are on
    colors: Palette = [(1.0, 0.86, 0.6)]
    brightness: _range(0.05, 3.0) = (0.5, 1.0)  # type: ignore[valid-type]  # of the ground right below; 1 is day
    reach: _range(2.0, 40.0) = (10.0, 18.0)  # type: ignore[valid-type]  # m at which a hundredth is left

    _ranges = field_validator("brightness", "reach")(_ordered)
    _colors = field_validator("colors")(_checked_palette)


class ObjectSpec(_Section):
    """A kind of thing that stands about."""

    kind: ObjectKind
    density: _range(0.0, 20.0) | None = None  # type: ignore[valid-type]  # per 100 m^2 of the scatter disc
    count: tuple[Annotated[int, Field(ge=0, le=400)], Annotated[int, Field(ge=0, le=400)]] | None = None
    height: _range(0.05, 40.0)  # type: ignore[valid-type]  # m
    width: _range(0.05, 40.0) | None = None  # type: ignore[valid-type]  # m; by the kind where absent
    colors: Palette = "any"
    accents: Palette = "any"  # crown, roof, windows, ...
    textures: list[Family] = ["plain"]
    texture_files: list[str] = []
    ring: _range(15.0, 110.0) | None = None  # type: ignore[valid-type]  # m from the middle, as a backdrop
    up: Literal["y", "z"] = "z"  # which axis of the mesh is up
    materials: bool = False  # whether the mesh is drawn in the materials of its MTL file
    file: str | None = None  # OBJ, for kind "mesh"
    lamp: LampSpec | None = None

    _ranges = field_validator("height")(_ordered)
    _colors = field_validator("colors", "accents")(_checked_palette)

    @field_validator("density", "count", "width", "ring")
    @classmethod
    def _rising(cls, low_high: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if low_high is None else _ordered(low_high)

    @field_validator("texture_files")
    @classmethod
    def _images(cls, files: list[str], info: ValidationInfo) -> list[str]:
        return [existing(file, info, check_image) for file in files]

    @field_validator("file")
    @classmethod
    def _mesh(cls, file: str | None, info: ValidationInfo) -> str | None:
        if file is None:
            return None
        given = info.data
        check = partial(check_mesh, up=given.get("up", "z"), materials=given.get("materials", False))
        return existing(file, info, check)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.density is None) == (self.count is None):
            raise ValueError("give either 'density' (per 100 m^2) or 'count'")
        if (self.kind == "mesh") != (self.file is not None):
            raise ValueError("'file' (an OBJ file) belongs to kind 'mesh' and to no other")
        if self.file is None and (self.materials or self.up == "y"):
            raise ValueError("'materials' and 'up' belong to kind 'mesh' and to no other")
        if not self.textures and not self.texture_files:
            raise ValueError("give at least one of 'textures' or 'texture_files'")
        return self


class Room(_Section):
    """Four walls around the scatter disc's middle."""

    half_size: _range(13.0, 60.0) = (15.0, 22.0)  # type: ignore[valid-type]  # m
    height: _range(3.5, 20.0) = (6.0, 9.0)  # type: ignore[valid-type]  # m
    colors: Palette = [(0.7, 0.7, 0.7)]
    textures: Annotated[list[Family], Field(min_length=1)] = ["concrete"]

    _ranges = field_validator("half_size", "height")(_ordered)
    _colors = field_validator("colors")(_checked_palette)


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class Targets(_Section):
    """The markers: saturated red things of about a metre."""

    kinds: Annotated[list[TargetKind], Field(min_length=1)] = ["chair", "barrel", "cone", "box", "ball"]
    marker: Literal["red"] = "red"


class WorldSpec(_Section):
    """A world file."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    split: Split = "held-out"
    description: Annotated[str, Field(max_length=300)] = ""
    ground: Ground
    sky: SkySpec
    light: LightSpec = LightSpec()
    fog: FogSpec = FogSpec()
    room: Room | None = None
    objects: list[ObjectSpec] = []
    distractors: list[ObjectSpec] = []
    targets: Targets = Targets()
    wind: _range(0.0, 6.0) = (0.0, 1.0)  # type: ignore[valid-type]  # m/s
    atlas: Annotated[int, Field(ge=6, le=12)] = (
        6  # a side: so many times so many surfaces; things share them then
    )

    _wind = field_validator("wind")(_ordered)

    @field_validator("room")
    @classmethod
    def _flat_floor(cls, room: Room | None, others: ValidationInfo) -> Room | None:
        ground = others.data.get("ground")
        if room is not None and ground is not None and ground.terrain is not None:
            raise ValueError("a room has a flat floor; remove it, or 'ground.terrain'")
        return room


def _library() -> Path:
    return Path(str(resources.files("navstack.envs.worlds") / "library"))


def world_names(split: str | None = None) -> list[str]:
    """Names of the library's worlds, of one split or of all."""
    names = sorted(path.stem for path in _library().glob("*.yaml"))
    return names if split is None else [name for name in names if describe_world(name).split == split]


@lru_cache(maxsize=64)
def describe_world(name: str) -> WorldSpec:
    """A library world, whether or not the files of other packages that it names are installed."""
    return load_yaml_model(_library() / f"{name}.yaml", WorldSpec, context={"files": False})


def load_world(name_or_path: str | os.PathLike[str]) -> WorldSpec:
    """The world with this name, or in this YAML file. Raises InputError that says what is wrong where."""
    name = os.fspath(name_or_path)
    path = Path(name)
    if not (name.endswith((".yaml", ".yml")) or "/" in name):
        path = _library() / f"{name}.yaml"
        if name not in world_names():
            raise InputError(
                f"world '{name}' not found{nearest(name, world_names())} (navstack worlds lists them)"
            )
    elif not is_file(path):
        raise InputError(
            f"world file {name[:300]} does not exist; give a path to a YAML file, or a library world's name"
        )
    return load_yaml_model(path, WorldSpec, context={"folder": path.parent})
