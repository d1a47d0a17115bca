"""What `navstack perturbations` does with its arguments."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from navstack.contract import Image
from navstack.envs.commands.perturbations import Perturbations
from navstack.envs.navigation import NavigationEnv
from navstack.envs.perturb import PERTURBATIONS, SEVERITIES
from navstack.files import check_new_file, write_atomically

COMMAND = np.array((1.2, 0.0, 0.0, 0.9), dtype=np.float32)  # fast and turning, so that motion shows
STEPS = 12  # frames flown before the picture is taken
SCALE, MARGIN, LABEL = 2, 6, 150  # times that a frame is enlarged; pixels


def run(arguments: Perturbations) -> int:
    """Print the table and write the sheet that is asked for. Raises InputError where it cannot be written."""
    check_new_file(arguments.picture)
    table = Table()
    table.add_column("perturbation", no_wrap=True)
    for column in ("split", "what", "severity 1 to 5"):
        table.add_column(column)
    for name, kind in PERTURBATIONS.items():
        levels = ", ".join(f"{level:g}" for level in kind.levels)
        table.add_row(name, kind.split, kind.summary, f"{levels} {kind.unit}")
    Console().print(table)
    if arguments.picture is not None:
        write_sheet(arguments.picture, arguments.world, arguments.seed)
        print(arguments.picture)
    return 0


def write_sheet(path: Path, world: str, seed: int) -> None:
    """A row for each imperfection of the camera: none, then severities 1 to 5. Raises InputError."""
    names = [name for name, kind in PERTURBATIONS.items() if kind.family == "camera"]
    clean = one_picture(world, seed)
    rows = []
    for name in track(names, "drawing", transient=True):
        pictures = [clean, *(one_picture(world, seed, f"{name}:{severity}") for severity in SEVERITIES)]
        rows.append(_row(name, pictures))
    done, data = cv2.imencode(".png", cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    assert done
    write_atomically(path, data.tobytes())


def one_picture(world: str, seed: int, *perturb: str) -> Image:
    """The same instant of the same flight, (64, 96, 3) uint8 RGB, with these imperfections."""
    environment = NavigationEnv(world=world, purpose="evaluate", perturb=perturb)
    try:
        observation, _ = environment.reset(seed=seed)
        for _ in range(STEPS):
            observation, *_ = environment.step(COMMAND)
    finally:
        environment.close()
    return np.asarray(observation["image"], dtype=np.uint8)


def _row(name: str, pictures: list[Image]) -> Image:
    large = [picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1) for picture in pictures]
    height, width = large[0].shape[:2]
    row = np.full((height + MARGIN, LABEL + len(large) * (width + MARGIN), 3), 20, dtype=np.uint8)
    cv2.putText(
        row, name, (MARGIN, height // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (240, 240, 240), 1, cv2.LINE_AA
    )
    for number, picture in enumerate(large):
        left = LABEL + number * (width + MARGIN)
        row[:height, left : left + width] = picture
    return row
