"""One square picture with a tile for each material of a world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from navstack.contract import Image, Vector3
from navstack.envs.worlds.drawing import materials_of
from navstack.envs.worlds.obj import Material
from navstack.envs.worlds.spec import LampSpec, ObjectSpec
from navstack.envs.worlds.textures import draw_color, image_texture, make_texture, mute_red

TILE_PIXELS = 48
WINDOWS = (4, 12)  # rows and columns of windows on a tile
DARK_WINDOW = 0.12  # of a lit one


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of one material of a kind of object."""

    main: int
    accent: int
    shine: int = 0  # of accents that are lit
    parts: dict[str, int] | None = None  # of a mesh in its own materials, by their names


class Atlas:
    """Draws tiles, and knows which number has which."""

    def __init__(self, rng: np.random.Generator, side: int) -> None:
        self.rng, self._side = rng, side
        self.picture: Image = np.full((side * TILE_PIXELS, side * TILE_PIXELS, 3), 128, dtype=np.uint8)
        self._used = 0
        self._parts: dict[str, dict[str, int]] = {}

    def material(self, kind: ObjectSpec) -> Tiles:
        """Tiles of a kind's material; once the atlas is full, of one there already."""
        if kind.materials and kind.file is not None:
            parts = self._mesh_parts(kind.file)
            return Tiles(0, 0, parts=parts)
        names = [*kind.textures, *kind.texture_files]
        main = self.tile(names[self.rng.integers(len(names))], draw_color(kind.colors, self.rng))
        # Drawn even where no accent is used: what follows must not depend on the shape.
        accent = self.tile(
            "plain" if self.rng.random() < 0.5 else "noise", draw_color(kind.accents, self.rng)
        )
        if kind.lamp is None:
            return Tiles(main, accent)
        return Tiles(main, accent, self._put(self._shine(kind, kind.lamp)))

    def tile(self, name: str, color: Vector3) -> int:
        """The number of a new tile with this texture family or image file."""
        if self._used >= self._side**2:
            return int(self.rng.integers(self._side**2))
        if "." in name or "/" in name:
            return self._put(image_texture(name, TILE_PIXELS))
        return self._put(make_texture(name, color, 0.4, TILE_PIXELS, self.rng))  # type: ignore[arg-type]

    def _put(self, picture: Image) -> int:
        number = self._used
        if number >= self._side**2:
            return int(self.rng.integers(self._side**2))
        self._used += 1
        row, column = divmod(number, self._side)
        top, left = row * TILE_PIXELS, column * TILE_PIXELS
        self.picture[top : top + TILE_PIXELS, left : left + TILE_PIXELS] = picture
        return number

    def _mesh_parts(self, file: str) -> dict[str, int]:
        if file not in self._parts:
            materials = materials_of(file)
            self._parts[file] = {name: self._put(_surface(part)) for name, part in materials.items()}
        return self._parts[file]

    def _shine(self, kind: ObjectSpec, lamp: LampSpec) -> Image:
        """A lit surface; on a building windows, some of which are dark."""
        color = 255.0 * np.array(draw_color(lamp.colors, self.rng))
        lit = np.ones((1, 1))
        if kind.kind == "building":
            on = self.rng.random(WINDOWS) < self.rng.uniform(0.2, 0.7)
            lit = np.where(on, self.rng.uniform(0.6, 1.0, WINDOWS), DARK_WINDOW)
        high, wide = lit.shape
        large = lit.repeat(TILE_PIXELS // high, axis=0).repeat(TILE_PIXELS // wide, axis=1)
        return np.rint(color * large[..., None]).astype(np.uint8)


def _surface(material: Material) -> Image:
    """(TILE_PIXELS, TILE_PIXELS, 3) what a mesh's own material looks like; nothing but targets is red."""
    if material.image is not None:
        return image_texture(str(material.image), TILE_PIXELS)
    color = np.rint(255.0 * np.array(material.color))
    return mute_red(np.full((TILE_PIXELS, TILE_PIXELS, 3), color, dtype=np.uint8))
