#!/usr/bin/env python3
"""A strip of camera frames of an expert's flight of each task, for the docs.

usage: .venv/bin/python scripts/task_strips.py [--env TASK ...] [--task-option NAME=VALUE ...] [--world NAME]
                                               [--seed N] [--frames N] [--out FOLDER]

Writes OUT/TASK.jpg: frames evenly spread over the flight, left to right and line by line, enlarged three
times, the time in seconds in a corner of each.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import cv2
import numpy as np

from navstack.contract import Image
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks import TASKS
from navstack.errors import exit_status
from navstack.files import write_atomically
from navstack.options import parse_options

COLUMNS, SCALE, GAP = 6, 3, 4  # frames in a line, enlargement, pixels between
QUALITY = 75  # of the JPEG


def main() -> int:
    """Fly each task once and draw its strip."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", nargs="*", default=list(TASKS), help="tasks (default: all)")
    parser.add_argument(
        "--task-option", nargs="*", default=[], metavar="NAME=VALUE", help="the tasks' parameters"
    )
    parser.add_argument("--world", default="park", help="world (default %(default)s)")
    parser.add_argument("--seed", type=int, default=6, help="of the flight (default %(default)s)")
    parser.add_argument("--frames", type=int, default=12, help="in a strip (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs/images/tasks"))
    given = parser.parse_args()
    for name in given.env:
        environment = NavigationEnv(
            task=name, world=given.world, purpose="evaluate", **parse_options(given.task_option)
        )
        outcome, frames = fly(environment, given.seed)
        environment.close()
        picture = cv2.cvtColor(strip(frames, given.frames), cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        given.out.mkdir(parents=True, exist_ok=True)
        write_atomically(given.out / f"{name}.jpg", data.tobytes())
        print(f"{given.out / name}.jpg: {outcome} after {frames[-1][0]:.1f} s")
    return 0


def fly(environment: NavigationEnv, seed: int) -> tuple[str, list[tuple[float, Image]]]:
    """The expert's flight: its outcome, and each frame with its time in s."""
    observation, info = environment.reset(seed=seed)
    frames = [(0.0, observation["image"])]
    while "outcome" not in info:
        observation, *_, info = environment.step(info["expert_command"])
        frames.append((info["state"].time, observation["image"]))
    return str(info["outcome"]), frames


def strip(frames: list[tuple[float, Image]], number: int) -> Image:
    """(H, W, 3) uint8 RGB: so many of the frames, evenly spread, the first and the last among them."""
    chosen = [frames[k] for k in np.linspace(0, len(frames) - 1, number).round().astype(int)]
    height, width = (SCALE * side for side in chosen[0][1].shape[:2])
    lines, columns = math.ceil(number / COLUMNS), min(COLUMNS, number)
    sheet = np.full((lines * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for place, (time, image) in enumerate(chosen):
        top, left = (height + GAP) * (place // COLUMNS), (width + GAP) * (place % COLUMNS)
        large = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
        for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            words, font = f"{time:.1f}", cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(large, words, (6, 22), font, 0.6, color, thickness, cv2.LINE_AA)
        sheet[top : top + height, left : left + width] = large
    return sheet


if __name__ == "__main__":
    sys.exit(exit_status(main))
