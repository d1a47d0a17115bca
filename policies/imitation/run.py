"""One training run in one folder: collect, clone, DAgger, choose, export; killed at any moment, it goes on.

    run.json                         what the run is
    episodes/                        every flight it learned from
    rounds/00/checkpoint.safetensors the training state in or after that round
    rounds/00/policy.onnx            the exported policy after the round; it flies the next one
    rounds/00/dev.json               how it did in the dev worlds
    metrics.jsonl, tensorboard/      learning curves
    policy.onnx                      the best of the rounds: the result

Each stage is skipped where its result is already there, and results appear by renaming. So a restart repeats
at most the gradient steps since the last checkpoint, and the flights that were in the air.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from navstack.errors import InputError
from navstack.files import disk_errors, write_atomically
from navstack.policies.export import ExportError, export_policy
from navstack.policies.imitation.card import read_dev, run_card, success_rate
from navstack.policies.imitation.checkpoint import Position, load_checkpoint, restore, save_checkpoint
from navstack.policies.imitation.collecting import Collected, collect
from navstack.policies.imitation.config import TrainConfig, config_to_json, difference
from navstack.policies.imitation.dataset import WindowDataset
from navstack.policies.imitation.learn import Learner, StepReport, Throughput, mean
from navstack.policies.imitation.report import Bar, Metrics, live_bar
from navstack.policies.imitation.rollout import DevJob, judge_policy
from navstack.policies.network import NetworkSpec
from navstack.results import SUCCESS, result_row
from navstack.workers import Workers

LOG_EVERY = 50  # gradient steps between rows of metrics.jsonl
SHOW_EVERY = 10  # gradient steps between updates of the live progress
ROUND_TOLERANCE = (
    1e-3  # of a round's file, which flies the next round; the result has to meet export.TOLERANCE
)


def train(folder: Path, config: TrainConfig, console: Console) -> Path:
    """Run, or go on with, the training run in this folder. Returns the path of its policy.onnx.

    Raises:
        InputError: where the folder holds something else or another run, another process trains in it, a
            world or network is unknown, or the disk is full.
    """
    result = folder / "policy.onnx"
    open_run(folder, config)
    with _alone(folder):
        if result.exists():
            console.print(f"{folder} is finished: {result}")
            return result
        _remove_leftovers(folder)
        with Workers(config.workers) as workers:
            _Run(folder, config, console, workers).go()
    return result


def open_run(folder: Path, config: TrainConfig) -> None:
    """Make the folder this run's, or check that it is. Raises InputError where it is not."""
    path = folder / "run.json"
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: not the configuration of a training run ({error})") from error
        other = difference(config, found)
        if other:
            raise InputError(
                f"{folder} holds another training run: {other}; name another folder or remove it"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is no training run; name another folder or remove it")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (config_to_json(config) + "\n").encode())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process out of the folder; the lock goes with the process, however it ends."""
    with (folder / "run.json").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another process is training in {folder}; wait for it or name another folder"
            ) from error
        yield


def _remove_leftovers(folder: Path) -> None:
    """Remove files that a killed process had not finished writing."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


class _Run:
    """The stages of a run, each of which knows whether it is already done."""

    def __init__(self, folder: Path, config: TrainConfig, console: Console, workers: Workers) -> None:
        self._folder, self._config, self._console, self._workers = folder, config, console, workers
        self._episodes = folder / "episodes"
        self._spec = NetworkSpec(preset=config.network)
        self._learner = Learner(config, self._spec)
        with disk_errors(folder):
            self._episodes.mkdir(exist_ok=True)
            for number in range(config.rounds):
                self._round(number).mkdir(parents=True, exist_ok=True)
        self._position = self._restore()
        judged = [number for number in range(config.rounds) if (self._round(number) / "dev.json").exists()]
        self._metrics = Metrics(folder, self._position, config.steps, judged)

    def go(self) -> None:
        """All rounds from where the run stands, and the choice among them."""
        for number in range(self._position.round, self._config.rounds):
            started = time.perf_counter()
            collected = self._collect(number)
            self._learn(number)
            self._export(number)
            rate = self._judge(number)
            self._console.print(
                f"round {number}: {collected}; dev success {100 * rate:.0f}%;"
                f" {time.perf_counter() - started:.0f} s",
                highlight=False,
            )
        self._metrics.close()
        self._choose()

    def _round(self, number: int) -> Path:
        return self._folder / "rounds" / f"{number:02d}"

    def _restore(self) -> Position:
        """Put the newest checkpoint's state into the learner."""
        for number in reversed(range(self._config.rounds)):
            path = self._round(number) / "checkpoint.safetensors"
            if path.exists():
                checkpoint = load_checkpoint(path)
                restore(checkpoint, self._learner.imitator, self._learner.optimizer)
                self._console.print(f"going on in round {number} after step {checkpoint.position.step}")
                return checkpoint.position
        return Position(0, 0)

    def _collect(self, number: int) -> Collected:
        config, total = self._config, self._config.episodes(number)
        policy = self._round(number - 1) / "policy.onnx" if number else None
        share = config.expert_share[number - 1] if number else 1.0
        title = f"round {number}: {'learner' if number else 'expert'} flies"
        with live_bar(self._console, title, total) as bar:
            return collect(
                self._episodes, config.collect, total, self._workers,
                lambda so_far: bar.show(so_far.episodes, f"{so_far.frames} frames"), number, policy, share,
            )  # fmt: skip

    def _keys(self, number: int) -> list[tuple[int, int]]:
        """Keys of all episodes up to this round: by the configuration, never by what else lies there."""
        return [(r, index) for r in range(number + 1) for index in range(self._config.episodes(r))]

    def _learn(self, number: int) -> None:
        done = self._position.step if self._position.round == number else 0
        total = self._config.steps[number]
        if done == total:
            return
        config = self._config
        dataset = WindowDataset(
            self._episodes, self._keys(number), config.frames, config.burn_in, config.augmentation
        )
        with live_bar(self._console, f"round {number}: learning", total) as bar:
            watch = _Watch(self, bar)
            self._learner.round(dataset, number, done, watch.after_step)
        self._save(Position(number, total))

    def _save(self, position: Position) -> None:
        path = self._round(position.round) / "checkpoint.safetensors"
        save_checkpoint(path, self._learner.imitator, self._learner.optimizer, position, self._config)
        self._position = position

    def _export(self, number: int) -> None:
        path = self._round(number) / "policy.onnx"
        if not path.exists():
            network = self._learner.network
            card = run_card(self._config, network, self._spec, number)
            export_policy(network, card, path, ROUND_TOLERANCE)

    def _judge(self, number: int) -> float:
        path = self._round(number) / "dev.json"
        if not path.exists():
            rows = self._fly_dev(number)
            worlds = {f"dev_success/{row['world']}": row["success_rate"] for row in rows}
            position = Position(number, self._config.steps[number])
            self._metrics.write(position, {"dev_success": success_rate(rows), **worlds})
            write_atomically(path, (json.dumps(rows, indent=1) + "\n").encode())
        return success_rate(read_dev(path))

    def _fly_dev(self, number: int) -> list[dict[str, Any]]:
        config = self._config
        policy = str(self._round(number) / "policy.onnx")
        jobs = [
            DevJob(config.collect, policy, world, index, config.dev_longest)
            for world in config.dev_worlds
            for index in range(config.dev_episodes)
        ]
        outcomes: list[str] = []
        with live_bar(self._console, f"round {number}: dev worlds", len(jobs)) as bar:
            for outcome in self._workers.map(judge_policy, jobs):
                outcomes.append(outcome)
                bar.show(len(outcomes), f"{outcomes.count(SUCCESS)} successes")
        return [
            result_row(
                "policy.onnx",
                config.collect.env,
                world,
                "half with random frame timing",
                outcomes[place * config.dev_episodes :][: config.dev_episodes],
                config.collect.seed,
            )
            for place, world in enumerate(config.dev_worlds)
        ]

    def _choose(self) -> None:
        """Export the best round's weights, with its dev figures on the card: the later one of equals.

        A round whose export differs too much from the network is passed over for the next best. Raises
        InputError where none is left.
        """
        rounds = range(self._config.rounds)
        results = [read_dev(self._round(number) / "dev.json") for number in rounds]
        for best in sorted(rounds, key=lambda number: (success_rate(results[number]), number), reverse=True):
            checkpoint = load_checkpoint(self._round(best) / "checkpoint.safetensors")
            restore(checkpoint, self._learner.imitator, None)
            network = self._learner.network
            card = run_card(self._config, network, self._spec, best, tuple(results[best]))
            try:
                export_policy(network, card, self._folder / "policy.onnx")
            except ExportError as error:
                self._console.print(f"round {best} cannot be the result: {error}")
                continue
            self._console.print(f"best in dev worlds: round {best}, {100 * success_rate(results[best]):.0f}%")
            return
        raise InputError(f"{self._folder}: no round could be exported exactly enough; see above")


class _Watch:
    """Logs, shows and saves while a round is learned."""

    def __init__(self, run: _Run, bar: Bar) -> None:
        self._run, self._bar = run, bar
        self._recent: list[StepReport] = []
        self._throughput, self._frames_per_second = Throughput(), 0.0
        self._saved = time.monotonic()

    def after_step(self, report: StepReport) -> None:
        """Take note of a gradient step."""
        run, position = self._run, Position(report.round, report.step)
        self._recent.append(report)
        self._throughput.add(report.frames)
        if report.step % LOG_EVERY == 0:
            self._log(position)
        if report.step % SHOW_EVERY == 0:
            note = f"loss {report.loss:.4f}, {self._frames_per_second:.0f} frames/s"
            self._bar.show(report.step, note)
        if time.monotonic() - self._saved >= run._config.checkpoint_seconds:
            run._save(position)
            self._saved = time.monotonic()

    def _log(self, position: Position) -> None:
        self._frames_per_second = self._throughput.rate()
        recent, self._recent = self._recent, []
        self._run._metrics.write(
            position,
            {
                "loss": mean([report.loss for report in recent]),
                "gradient_norm": mean([report.gradient_norm for report in recent]),
                "learning_rate": recent[-1].learning_rate,
                "frames_per_second": self._frames_per_second,
            },
        )
