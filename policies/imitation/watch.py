"""What is logged, shown and saved while a round is learned."""

from __future__ import annotations

import time
from collections.abc import Callable

from navstack.policies.imitation.checkpoint import Position
from navstack.policies.imitation.learn import LOOK_EVERY, StepReport, Throughput, mean
from navstack.policies.imitation.report import Bar, Metrics

SHOW_EVERY = 10  # gradient steps between updates of the live progress


class Watch:
    """Logs, shows and saves while a round is learned."""

    def __init__(self, metrics: Metrics, bar: Bar, save: Callable[[Position], None], seconds: float) -> None:
        """Save by `save` every so many seconds."""
        self._metrics, self._bar, self._save, self._seconds = metrics, bar, save, seconds
        self._recent: list[StepReport] = []
        self._throughput, self._frames_per_second = Throughput(), 0.0
        self._saved = time.monotonic()

    def after_step(self, report: StepReport) -> None:
        """Take note of a gradient step."""
        position = Position(report.round, report.step)
        self._recent.append(report)
        self._throughput.add(report.frames)
        if report.step % LOOK_EVERY == 0:
            self._log(position)
        if report.step % SHOW_EVERY == 0:
            note = f"loss {report.loss:.4f}, {self._frames_per_second:.0f} frames/s"
            self._bar.show(report.step, note)
        if report.healthy and time.monotonic() - self._saved >= self._seconds:
            self._save(position)
            self._saved = time.monotonic()

    def _log(self, position: Position) -> None:
        self._frames_per_second = self._throughput.rate()
        recent, self._recent = self._recent, []
        self._metrics.write(
            position,
            {
                "loss": mean([report.loss for report in recent]),
                "reader_loss": mean([report.reader_loss for report in recent]),
                "gradient_norm": mean([report.gradient_norm for report in recent]),
                "learning_rate": recent[-1].learning_rate,
                "frames_per_second": self._frames_per_second,
                **recent[-1].parts,
            },
        )
