"""A person flies: keys of the terminal, the picture in a window or in the terminal itself.

A terminal says when a key goes down and never when it comes up, so keys move a stick that stays where it is:
each press changes one component of the command by a quarter of its limit, and the space bar centres all. What
is pressed is flown, without the guard.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np

from navstack.card import EXPERT_CARD
from navstack.contract import Image, PolicyCard, VehicleState, VelocityCommand
from navstack.episodes import EpisodeFacts, episode_keys, save_episode
from navstack.errors import InputError
from navstack.flight import Tick, fly
from navstack.flying import RealTime
from navstack.policies.imitation.config import CollectConfig
from navstack.policies.imitation.rollout import CUT_OFF, Flight, make_env, recorded
from navstack.policies.imitation.streams import COLLECT, integer
from navstack.timing import FrameTiming

STEP = 0.25  # of a component's limit that a press changes it by
LONGEST = 120.0  # s after which a flight is cut off
FORWARD, LEFT, UP, YAW = range(4)
KEYS: dict[bytes, tuple[int, float]] = {
    b"w": (FORWARD, STEP), b"s": (FORWARD, -STEP), b"a": (LEFT, STEP), b"d": (LEFT, -STEP),
    b"r": (UP, STEP), b"f": (UP, -STEP), b"q": (YAW, STEP), b"e": (YAW, -STEP),
    b"\x1b[A": (UP, STEP), b"\x1b[B": (UP, -STEP), b"\x1b[D": (YAW, STEP), b"\x1b[C": (YAW, -STEP),
}  # fmt: skip
HELP = "w s: forward, back   a d: left, right   r f or arrows: up, down   q e or arrows: turn   space: stop"


class Screen(Protocol):
    """Where the pilot looks."""

    def show(self, image: Image, line: str) -> None:
        """Show (H, W, 3) uint8 RGB and a line of text."""
        ...


class Window:
    """A window of OpenCV's, eight times as large as the picture."""

    def show(self, image: Image, line: str) -> None:
        """Show the picture; the line stands in the window's title."""
        large = cv2.resize(image, None, fx=8.0, fy=8.0, interpolation=cv2.INTER_NEAREST)
        cv2.imshow("navstack", cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
        cv2.setWindowTitle("navstack", line)
        cv2.waitKey(1)


class TextScreen:
    """The terminal: two pixels a character, the upper in its ink and the lower in its paper."""

    def show(self, image: Image, line: str) -> None:
        """Draw over the picture before."""
        rows = ["\x1b[H" + line + "\x1b[K"]
        for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
            cells = (
                f"\x1b[38;2;{a};{b};{c};48;2;{d};{e};{f}m\u2580"
                for (a, b, c), (d, e, f) in zip(upper, lower, strict=True)
            )
            rows.append("".join(cells) + "\x1b[0m")
        sys.stdout.write("\r\n".join(rows))
        sys.stdout.flush()


class Terminal:
    """Keys as they are pressed, unechoed, while the context lasts. Raises InputError where none are."""

    def __init__(self) -> None:
        if not sys.stdin.isatty() or not sys.stdout.isatty():
            raise InputError("--pilot keyboard needs a terminal; this program's input or output is none")
        self._fd = sys.stdin.fileno()

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def screen(self, width: int, height: int) -> Screen:
        """A window where there is a display, else this terminal. Raises InputError where it is too small."""
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            try:
                cv2.namedWindow("navstack")
                return Window()
            except cv2.error:
                pass  # OpenCV was built without windows, or the display does not answer
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        if columns < width or lines < height // 2 + 2:
            raise InputError(
                f"no display for a window, and the terminal is {columns} x {lines}; the picture needs"
                f" {width} columns and {height // 2 + 2} lines"
            )
        return TextScreen()

    def pressed(self) -> list[bytes]:
        """What was pressed since the last call; an arrow is one key of three bytes."""
        found = b""
        while select.select([self._fd], [], [], 0.0)[0]:
            part = os.read(self._fd, 64)
            if not part:
                break
            found += part
        keys = []
        while found:
            length = 3 if found.startswith(b"\x1b[") and len(found) >= 3 else 1
            keys.append(found[:length])
            found = found[length:]
        return keys


class KeyboardPilot:
    """Flies what the keys say and notes what the expert would have done. A `navstack.flight.Policy`."""

    card: PolicyCard = EXPERT_CARD

    def __init__(self, flight: Flight, terminal: Terminal, screen: Screen) -> None:
        self._flight, self._terminal, self._screen = flight, terminal, screen
        self._limits = self.card.limits.as_array().astype(np.float64)
        self._stick = np.zeros(4)  # of the limits
        self.rows: list[tuple[Image, float, VelocityCommand, VehicleState]] = []

    def reset(self) -> None:
        """Centre the stick."""
        self._stick[:] = 0.0

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """Move the stick by what was pressed, show the picture, and answer what is to be flown."""
        for key in self._terminal.pressed():
            if key == b" ":
                self._stick[:] = 0.0
            elif key in KEYS:
                axis, change = KEYS[key]
                self._stick[axis] = min(1.0, max(-1.0, self._stick[axis] + change))
        self.rows.append((image, dt, self._flight.expert_command(), self._flight.state()))
        command = VelocityCommand.from_array(self._stick * self._limits)
        if len(self.rows) % 2:  # every other frame is enough for a person
            text = (
                f"forward {command.forward:+.2f}  left {command.left:+.2f}  up {command.up:+.2f} m/s  "
                f"yaw {command.yaw_rate:+.2f} rad/s"
            )
            self._screen.show(image, f"{self._flight.now():5.1f} s  {text}")
        return command


def collect_by_keyboard(folder: Path, config: CollectConfig, episodes: int) -> int:
    """Let a person fly until the folder holds so many episodes; those that are there are kept.

    An interrupted flight is not written. Returns how many were flown. Raises InputError without a terminal.
    """
    there, flown = set(episode_keys(folder)), 0
    with Terminal() as terminal:
        print(HELP)
        for index in range(episodes):
            if (0, index) not in there:
                facts = _fly(folder, config, index, terminal)
                flown += 1
                print(f"\nepisode {index}: {facts.outcome}", flush=True)
    return flown


def _fly(folder: Path, config: CollectConfig, index: int, terminal: Terminal) -> EpisodeFacts:
    world, seed = config.worlds[index % len(config.worlds)], integer(config.seed, COLLECT, 0, index)
    env = make_env(config, world, "train", FrameTiming())
    try:
        observation, _ = env.reset(seed=seed)
        height, width = observation["image"].shape[:2]
        flight: Any = env.unwrapped.flight()  # type: ignore[attr-defined]
        pilot = KeyboardPilot(flight, terminal, terminal.screen(width, height))
        paced, sent = RealTime(flight), list[VelocityCommand]()

        def note(tick: Tick) -> None:
            if tick.frame is not None:
                sent.append(tick.sent)

        over = lambda: flight.finished or flight.now() >= LONGEST  # noqa: E731
        fly(pilot, None, paced, paced, paced, finished=over, observers=[note])
        outcome = flight.outcome or CUT_OFF
    finally:
        env.close()
    facts = EpisodeFacts(config.env, world, seed, outcome, "keyboard", 0, index)
    save_episode(folder, recorded(facts, pilot.rows, sent))
    return facts
