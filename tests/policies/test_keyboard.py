"""Flying by hand: keys of a real (pseudo-)terminal become an episode like any other."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

from navstack.contract import Limits
from navstack.episodes import load_episode
from navstack.errors import InputError
from navstack.policies.commands.collect import Collect

COMMAND = [sys.executable, "-m", "navstack", "collect", "--pilot", "keyboard", "--world", "meadow"]


def started(out: Path, size: tuple[int, int]) -> tuple[subprocess.Popen[bytes], int]:
    """The command on a terminal of this size (lines, columns), and the other end of the terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    clean = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    process = subprocess.Popen(
        [*COMMAND, "--episodes", "1", "--out", str(out)],
        stdin=theirs, stdout=theirs, stderr=theirs, env=clean, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    return process, ours


def read_until(terminal: int, wanted: bytes) -> bytes:
    said, deadline = b"", time.monotonic() + 120.0
    while wanted not in said:
        assert time.monotonic() < deadline, said[-300:]
        try:
            said += os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            break
    return said


def test_keys_fly_and_are_recorded(tmp_path: Path) -> None:
    process, terminal = started(tmp_path / "hand", (40, 120))
    read_until(terminal, "\u2580".encode())  # the first picture
    os.write(terminal, b"wq\x1b[B\x1b[B" + b"f" * 4)  # ahead, to the left, and down into the ground
    said = read_until(terminal, b"flown by hand")
    assert process.wait(60) == 0
    os.close(terminal)
    assert b"episode 0: collision" in said
    episode = load_episode(tmp_path / "hand" / "r00_00000.safetensors")
    assert episode.facts.source == "keyboard"
    assert episode.facts.outcome == "collision"
    limits = Limits().as_array()
    last = episode.command[-1] / limits
    np.testing.assert_allclose(episode.command[0], 0.0)
    np.testing.assert_allclose(last[[0, 1, 3]], (0.25, 0.0, 0.25), atol=1e-5)
    assert last[2] < -0.4
    assert np.abs(episode.expert_command).max() > 0.1


def test_a_terminal_too_small_for_the_picture_is_refused(tmp_path: Path) -> None:
    process, terminal = started(tmp_path / "hand", (24, 80))
    said = read_until(terminal, b"columns and 34 lines")
    assert process.wait(60) != 0
    os.close(terminal)
    assert b"80 x 24" in said
    assert not list((tmp_path / "hand").glob("*.safetensors"))


def test_without_a_terminal_it_is_refused(tmp_path: Path) -> None:
    if sys.stdin.isatty() and sys.stdout.isatty():
        pytest.skip("this test itself runs on a terminal")
    with pytest.raises(InputError, match="needs a terminal"):
        Collect(out=tmp_path / "hand", pilot="keyboard", world=("meadow",))()
