"""What a training run shows while it runs, and the log that it leaves: metrics.jsonl and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch.utils.tensorboard import SummaryWriter

from navstack.files import disk_errors, write_atomically
from navstack.policies.imitation.checkpoint import Position


class Metrics:
    """metrics.jsonl and TensorBoard: a row every few gradient steps, and after each round's dev flights.

    A row holds `round`, `step` (in the round), `total_step`, and what was measured.
    """

    def __init__(
        self, folder: Path, position: Position, steps: tuple[int, ...], judged: Sequence[int]
    ) -> None:
        """Go on at this position, with dev flights done in the `judged` rounds.

        Rows of what a killed run did after that are dropped: it will be done again.
        """
        self._path = folder / "metrics.jsonl"
        self._before = [sum(steps[:number]) for number in range(len(steps))]
        here = (position.round, position.step)
        rows = [
            row
            for row in read_metrics(self._path)
            if (row["round"], row["step"]) <= here and ("dev_success" not in row or row["round"] in judged)
        ]
        write_atomically(self._path, "".join(json.dumps(row) + "\n" for row in rows).encode())
        total = self._before[position.round] + position.step
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=total + 1)

    def write(self, position: Position, values: dict[str, float]) -> None:
        """Append a row."""
        total = self._before[position.round] + position.step
        row = {"round": position.round, "step": position.step, "total_step": total, **values}
        with disk_errors(self._path), self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, total)

    def close(self) -> None:
        """Write out what TensorBoard buffers."""
        self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line that a kill cut short is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class Bar:
    """One line of live progress."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total, note="")

    def show(self, done: int, note: str) -> None:
        """Set how much is done and the remark beside it."""
        self._progress.update(self._task, completed=done, note=note)


@contextmanager
def live_bar(console: Console, title: str, total: int) -> Iterator[Bar]:
    """A progress bar with elapsed and remaining time, gone when the block ends."""
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, title, total)
