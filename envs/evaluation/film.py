"""Films of flights: H.264 in MP4, which every browser plays.

A film runs in real time: each picture shows the newest frame of its instant, whatever the camera's rate was.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from navstack.contract import Image, Limits
from navstack.envs.evaluation.record import FlightRecord
from navstack.errors import InputError
from navstack.films import write_mp4

FPS = 20
HOLD = 1.2  # s that the last picture of a flight stands, so that its outcome can be read
SIZE = (960, 540)  # width, height of a composed picture
INSET = 3  # how many times the policy's frame is enlarged
MARGIN = 18  # pixels
FONT_SIZE = 17

_INK = (255, 255, 255)
_FAINT = (190, 200, 208)
_PANEL = (12, 18, 24, 150)
_ACCENT = (64, 196, 255)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One bar of the command display."""

    label: str
    value: float
    limit: float  # largest magnitude
    unit: str
    leftward: bool = False  # positive values grow to the left

    @property
    def text(self) -> str:
        """The value with its sign and unit; a zero is never negative."""
        return f"{round(self.value, 2) + 0.0:+.2f}\u00a0{self.unit}"


@lru_cache(maxsize=8)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it, so that films look alike on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def compose(chase: Image, policy_frame: Image, lines: Sequence[str], gauges: Sequence[Gauge] = ()) -> Image:
    """One picture of a film, (540, 960, 3) uint8 RGB.

    The chase view fills it; the frame as the policy saw it stands enlarged at the lower right, the lines of
    text at the upper left (the first one bold), and the gauges at the lower left.
    """
    picture = Picture.fromarray(chase).resize(SIZE, Picture.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture, "RGBA")
    _draw_inset(picture, draw, policy_frame)
    if lines:
        _draw_lines(draw, lines)
    if gauges:
        _draw_gauges(draw, gauges)
    return np.asarray(picture)


def _draw_inset(picture: Picture.Image, draw: ImageDraw.ImageDraw, frame: Image) -> None:
    height, width = frame.shape[0] * INSET, frame.shape[1] * INSET
    left, top = SIZE[0] - MARGIN - width, SIZE[1] - MARGIN - height
    label = "what the policy sees"
    draw.rectangle((left - 3, top - 25, left + width + 2, top + height + 2), fill=_PANEL)
    draw.text((left + 4, top - 22), label, font=_font(13), fill=_FAINT)
    picture.paste(Picture.fromarray(frame).resize((width, height), Picture.Resampling.NEAREST), (left, top))


def _draw_lines(draw: ImageDraw.ImageDraw, lines: Sequence[str]) -> None:
    step = FONT_SIZE + 8
    fonts = [_font(FONT_SIZE, bold=index == 0) for index in range(len(lines))]
    width = max(font.getlength(line) for font, line in zip(fonts, lines, strict=True))
    draw.rounded_rectangle(
        (MARGIN, MARGIN, MARGIN + width + 28, MARGIN + step * len(lines) + 14), radius=8, fill=_PANEL
    )
    for index, (font, line) in enumerate(zip(fonts, lines, strict=True)):
        ink = _INK if index == 0 else _FAINT
        draw.text((MARGIN + 14, MARGIN + 10 + step * index), line, font=font, fill=ink)


def _draw_gauges(draw: ImageDraw.ImageDraw, gauges: Sequence[Gauge]) -> None:
    """Bars that grow from the middle, to the side that the value means."""
    step, half = 24, 62
    top = SIZE[1] - MARGIN - step * len(gauges) - 14
    draw.rounded_rectangle((MARGIN, top, MARGIN + 324, SIZE[1] - MARGIN), radius=8, fill=_PANEL)
    font = _font(14)
    for index, gauge in enumerate(gauges):
        y = top + 8 + step * index
        middle = MARGIN + 90 + half
        share = max(-1.0, min(1.0, gauge.value / gauge.limit)) * (-1.0 if gauge.leftward else 1.0)
        draw.text((MARGIN + 14, y), gauge.label, font=font, fill=_FAINT)
        draw.rectangle((middle - half, y + 5, middle + half, y + 13), fill=(255, 255, 255, 40))
        start, end = sorted((middle, round(middle + share * half)))
        draw.rectangle((start, y + 5, end, y + 13), fill=_ACCENT)
        draw.text((middle + half + 12, y), gauge.text, font=font, fill=_INK)


def flight_film(record: FlightRecord, fps: float = FPS) -> Iterator[Image]:
    """The pictures of one recorded flight in real time, its outcome at the end."""
    times = np.asarray(record.frame_times, dtype=np.float64)
    if not len(times):
        return
    title = f"{record.env} · {record.world} · seed {record.seed}"
    for moment in np.arange(times[0], times[-1] + 0.5 / fps, 1.0 / fps):
        index = max(0, int(np.searchsorted(times, moment + 1e-6, side="right")) - 1)
        yield _picture(record, index, (title, f"{moment:.1f} s"))
    ending = (title, f"{record.detail or record.outcome}", *_guard_line(record))
    last = _picture(record, len(times) - 1, ending)
    for _ in range(round(HOLD * fps)):
        yield last


def _picture(record: FlightRecord, index: int, lines: Sequence[str]) -> Image:
    return compose(record.chase[index], record.frames[index], lines, command_gauges(record, index))


def command_at(record: FlightRecord, index: int) -> tuple[float, float, float, float]:
    """forward, left, up (m/s) and yaw rate (rad/s) sent around a kept frame; zeros where nothing was sent."""
    count = len(record.commands)
    if not count:
        return (0.0, 0.0, 0.0, 0.0)
    if count != len(record.frame_times):  # frames were kept at another rate than commands were sent
        index = int(record.frame_times[index] / max(record.seconds, 1e-9) * count)
    forward, left, up, yaw_rate = record.commands[max(0, min(count - 1, index))].tolist()
    return (forward, left, up, yaw_rate)


def command_gauges(record: FlightRecord, index: int) -> tuple[Gauge, ...]:
    """The command at a kept frame as gauges."""
    forward, left, up, yaw_rate = command_at(record, index)
    limits = Limits()
    return (
        Gauge("forward", forward, limits.forward, "m/s"),
        Gauge("left", left, limits.left, "m/s", leftward=True),
        Gauge("up", up, limits.up, "m/s"),
        Gauge("turn left", yaw_rate, limits.yaw_rate, "rad/s", leftward=True),
    )


def _guard_line(record: FlightRecord) -> tuple[str, ...]:
    if not record.guard_events:
        return ("the guard did not act",)
    acted = sorted(record.guard_events.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ("guard: " + ", ".join(f"{rule} x{count}" for rule, count in acted),)


def write_flight_film(path: Path, records: Sequence[FlightRecord]) -> None:
    """One film of several recorded flights after another.

    Raises InputError when no record holds pictures or the film cannot be written.
    """
    filmed = [record for record in records if record.frame_times and record.chase]
    if not filmed:
        raise InputError(f"{path}: none of the {len(records)} flights was recorded with pictures")
    write_mp4(path, itertools.chain.from_iterable(map(flight_film, filmed)), FPS)
