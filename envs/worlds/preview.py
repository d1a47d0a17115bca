"""Contact sheets: what worlds look like to the policy's camera and to a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from navstack.contract import Image
from navstack.envs.navigation import NavigationEnv
from navstack.envs.worlds.spec import WorldSpec, load_world
from navstack.errors import InputError
from navstack.files import new_folder, write_atomically

POLICY_SCALE = 5  # times that the policy's frame is enlarged, pixel by pixel
HEIGHT, CHASE_WIDTH = 320, 576  # pixels of a chase view on a sheet
INSET_SCALE = 2  # on the overview
COLUMNS = 2
OVERVIEW_COLUMNS = 4
MARGIN, CAPTION, TITLE = 10, 26, 64  # pixels

_PAPER, _INK, _FAINT = (18, 22, 27), (240, 243, 246), (165, 175, 185)


@dataclass(frozen=True, slots=True)
class Draw:
    """One exact world at the start of a flight."""

    seed: int
    frame: Image  # (64, 96, 3), as the policy sees it
    chase: Image  # (HEIGHT, CHASE_WIDTH, 3)
    caption: str


def write_previews(
    worlds: Sequence[str],
    folder: Path,
    seed: int = 0,
    draws: int = 4,
    on_world: Callable[[str], None] = lambda name: None,
) -> list[Path]:
    """Write one sheet for each world and, last, an overview of all.

    Args:
        worlds: names or paths of world files.
        folder: where to; made if need be.
        seed: of the first draw of each world; the next ones follow.
        draws: how many exact worlds a sheet shows.
        on_world: called with each world's name when its sheet is done.

    Raises:
        InputError: for no draws, a folder that holds anything, or a world that is not there, not valid, or
            given twice; nothing is written then.
    """
    if draws < 1:
        raise InputError(f"{draws} draws make no sheet; ask for 1 or more")
    specs = [load_world(world) for world in worlds]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two of the worlds are named '{name}'; rename one, or preview them apart")
    new_folder(folder)
    written, firsts = [], []
    for world, spec in zip(worlds, specs, strict=True):
        drawn = draw_world(world, range(seed, seed + draws))
        written.append(_write(folder / f"{spec.name}.png", sheet(spec, drawn)))
        firsts.append((spec, drawn[0]))
        on_world(spec.name)
    written.append(_write(folder / "overview.png", overview(firsts)))
    return written


def draw_world(world: str, seeds: Sequence[int]) -> list[Draw]:
    """The starts of flights in one world, as `evaluate` would fly them with these seeds."""
    environment = NavigationEnv(world=world, purpose="evaluate")
    try:
        return [_draw(environment, seed) for seed in seeds]
    finally:
        environment.close()


def _draw(environment: NavigationEnv, seed: int) -> Draw:
    observation, _ = environment.reset(seed=seed)
    simulator = environment.simulator
    chase = simulator.chase_view(CHASE_WIDTH, HEIGHT)
    target, (x, y, _) = simulator.scenario.layout.targets[0], simulator.vehicle.position
    away = np.hypot(target.x - x, target.y - y)
    caption = f"seed {seed}   {target.kind} at {away:.1f} m"
    return Draw(seed, observation["image"], chase, caption)


def sheet(spec: WorldSpec, draws: Sequence[Draw]) -> Image:
    """A contact sheet: each draw's policy frame, enlarged, beside its chase view."""
    tiles = []
    for draw in draws:
        frame = _enlarged(draw.frame, POLICY_SCALE)
        tiles.append((np.hstack((frame, draw.chase)), draw.caption))
    return _arrange(f"{spec.name}  ({spec.split})", spec.description, tiles)


def overview(firsts: Sequence[tuple[WorldSpec, Draw]]) -> Image:
    """Every world's first draw: the chase view with the policy's frame in its corner."""
    tiles = []
    for spec, draw in firsts:
        picture = draw.chase.copy()
        frame = _enlarged(draw.frame, INSET_SCALE)
        height, width = frame.shape[:2]
        picture[-height - 2 :, -width - 2 :] = _INK
        picture[-height:, -width:] = frame
        tiles.append((picture, f"{spec.name}  ({spec.split})"))
    title = "first draw of each, and how the policy's camera sees it"
    return _arrange("worlds", title, tiles, OVERVIEW_COLUMNS)


def _enlarged(image: Image, times: int) -> Image:
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _arrange(title: str, description: str, tiles: Sequence[tuple[Image, str]], most: int = COLUMNS) -> Image:
    """Tiles of one size with captions below, in columns under a title."""
    height, width = tiles[0][0].shape[:2]
    columns = min(most, len(tiles))
    rows = -(-len(tiles) // columns)
    size = (
        columns * (width + MARGIN) + MARGIN,
        TITLE + rows * (height + CAPTION + MARGIN),
    )
    page = Picture.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, 8), title, font=_font(22, bold=True), fill=_INK)
    pen.text((MARGIN, 36), description, font=_font(15), fill=_FAINT)
    for number, (picture, caption) in enumerate(tiles):
        row, column = divmod(number, columns)
        left, top = MARGIN + column * (width + MARGIN), TITLE + row * (height + CAPTION + MARGIN)
        page.paste(Picture.fromarray(picture), (left, top))
        pen.text((left, top + height + 3), caption, font=_font(15), fill=_INK)
    return np.array(page)


@lru_cache(maxsize=4)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _write(path: Path, picture: Image) -> Path:
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_atomically(path, data.tobytes())
    return path
