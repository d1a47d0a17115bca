"""Every `navstack` and `python` line of the README runs, in order, in one folder, with less to do."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHORTER = {
    "train": "--expert-episodes 4 --dagger-episodes 2 --steps 6 6 --dev-episodes 1",
    "evaluate": "--episodes 2",
    "sitl": "--camera '' --seconds 2",
}
"""What is appended, so that a line takes seconds; the last value of an option counts."""


def lines() -> list[str]:
    """The commands in the README's blocks, without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    found = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in found if line.startswith(("navstack ", "python "))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader would be, with a world file of his own."""
    path = tmp_path_factory.mktemp("reader")
    mine = (ROOT / "envs/worlds/library/winter.yaml").read_text().replace("name: winter", "name: my")
    (path / "my.yaml").write_text(mine)
    return path


def test_the_readme_shows_training_judging_and_flying() -> None:
    commands = {shlex.split(line)[1] for line in lines() if line.startswith("navstack")}
    assert {"train", "evaluate", "inspect", "fly", "worlds", "models"} <= commands


@pytest.mark.parametrize("line", lines())
def test_a_line_of_the_readme_runs(folder: Path, line: str) -> None:
    program, *words = shlex.split(line)
    if program == "navstack":
        words = ["-m", "navstack", *words, *shlex.split(SHORTER.get(words[0], ""))]
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
