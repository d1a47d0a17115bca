"""Writing films: H.264 in MP4, which every browser plays."""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from navstack.contract import Image
from navstack.errors import InputError


def write_mp4(path: Path, frames: Iterable[Image], fps: float) -> None:
    """Write pictures of one size, (H, W, 3) uint8 RGB, as an MP4 that browsers play.

    Odd sizes are padded by one pixel, as H.264 needs. The file appears under its name only when it is whole.
    Raises InputError when there is no picture, the sizes differ, or the file cannot be written.
    """
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise InputError(f"{path}: a film needs at least one picture")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise InputError(f"{path}: cannot write the film here: {error.strerror}") from error
    partial = Path(name)
    try:
        _encode(path, partial, itertools.chain((first,), pictures), first.shape, fps)
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encode(path: Path, partial: Path, frames: Iterable[Image], shape: tuple[int, ...], fps: float) -> None:
    import imageio_ffmpeg  # no dependency of a drone

    height, width = shape[:2]
    with tempfile.TemporaryFile() as messages:
        encoder = subprocess.Popen(
            [
                imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error",
                "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-",
                "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264",
                "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p", "-threads", "2",
                "-movflags", "+faststart", "-f", "mp4", str(partial),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages,
        )  # fmt: skip
        try:
            assert encoder.stdin is not None
            complete = _feed(encoder.stdin, frames, shape, path)
            status = encoder.wait()
        finally:
            if encoder.poll() is None:
                encoder.kill()
                encoder.wait()
        if status != 0 or not complete:
            messages.seek(0)
            raise InputError(_failure(path, status, messages.read().decode(errors="replace")))


def _feed(pipe: IO[bytes], frames: Iterable[Image], shape: tuple[int, ...], path: Path) -> bool:
    """Hand every picture to the encoder; False when it stopped reading."""
    try:
        with pipe:
            for frame in frames:
                if frame.shape != shape or frame.dtype != np.uint8:
                    raise InputError(
                        f"{path}: a film's pictures must all be uint8 of one size, {shape};"
                        f" found {frame.dtype} {frame.shape}"
                    )
                pipe.write(np.ascontiguousarray(frame).tobytes())
    except BrokenPipeError:
        return False
    return True


def _failure(path: Path, status: int, messages: str) -> str:
    if "No space left on device" in messages:
        return f"disk full while writing the film {path}; free some space and run again"
    lines = [line for line in messages.splitlines() if line.strip()]
    cause = lines[-1] if lines else f"the encoder ended with {status}"
    return f"{path}: the film could not be written: {cause}"
