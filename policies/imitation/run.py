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

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from navstack.errors import InputError
from navstack.files import disk_errors, write_atomically
from navstack.policies.export import ExportError, export_policy
from navstack.policies.imitation.card import ends_early, network_spec, read_dev, run_card, success_rate
from navstack.policies.imitation.checkpoint import Position, load_checkpoint, restore, save_checkpoint
from navstack.policies.imitation.collecting import Collected, collect
from navstack.policies.imitation.config import TrainConfig, difference
from navstack.policies.imitation.dataset import Expected, WindowDataset
from navstack.policies.imitation.demonstrations import adopt
from navstack.policies.imitation.folder import alone, open_run, remove_leftovers
from navstack.policies.imitation.learn import DivergenceError, Learner
from navstack.policies.imitation.processes import Processes
from navstack.policies.imitation.readme import run_readme
from navstack.policies.imitation.report import Metrics, live_bar
from navstack.policies.imitation.rollout import dev_jobs, judge_policy
from navstack.policies.imitation.watch import Watch
from navstack.results import SUCCESS, result_row
from navstack.workers import Workers

ROUND_TOLERANCE = (
    1e-3  # of a round's file, which flies the next round; the result has to meet export.TOLERANCE
)


def train(
    folder: Path,
    config: TrainConfig,
    console: Console,
    processes: Processes | None = None,
    demonstrations: Path | None = None,
    after_round: Callable[[int, float], None] = lambda round_, success: None,
) -> Path:
    """Run, or go on with, the training run in this folder. Returns the path of its policy.onnx.

    Args:
        folder: of the run; all processes see the same.
        config: what the run is.
        console: where it says how far it is.
        processes: that learn together; this one alone by default.
        demonstrations: folder of the episodes that `config.demonstrations` speaks of; needed at first only.
        after_round: is told every round and its dev success, those that were done before too.

    Raises:
        InputError: where the folder holds something else or another run, another process trains in it, a
            world or network is unknown, the training diverges, or the disk is full.
    """
    result = folder / "policy.onnx"
    processes = processes or Processes(config.accelerator, config.precision)
    with ExitStack() as stack:
        if processes.first:
            open_run(folder, config)
            stack.enter_context(alone(folder))
            remove_leftovers(folder)
        processes.wait()
        if result.exists():
            console.print(f"{folder} is finished: {result}")
            return result
        workers = stack.enter_context(Workers(config.workers if processes.first else 1))
        if processes.first and config.demonstrations:
            adopt(demonstrations, folder / "episodes", config)
        _Run(folder, config, console, workers, processes).go(after_round)
    return result


class _Run:
    """The stages of a run, each of which knows whether it is already done."""

    def __init__(
        self, folder: Path, config: TrainConfig, console: Console, workers: Workers, processes: Processes
    ) -> None:
        self._folder, self._config, self._console, self._workers = folder, config, console, workers
        self._processes = processes
        self._episodes = folder / "episodes"
        self._spec = network_spec(config)
        self._learner = Learner(config, self._spec, processes)
        with disk_errors(folder):
            self._episodes.mkdir(exist_ok=True)
            for number in range(config.rounds):
                self._round(number).mkdir(parents=True, exist_ok=True)
        self._position = self._restore()
        processes.wait()  # until all have read it

    def go(self, after_round: Callable[[int, float], None]) -> None:
        """All rounds from where the run stands, and the choice among them."""
        if not self._processes.first:
            return self._learn_along()
        config = self._config
        judged = [number for number in range(config.rounds) if (self._round(number) / "dev.json").exists()]
        metrics = Metrics(self._folder, self._position, config.steps, judged)
        for number in range(self._position.round):
            after_round(number, success_rate(read_dev(self._round(number) / "dev.json")))
        for number in range(self._position.round, config.rounds):
            started = time.perf_counter()
            collected = self._collect(number)
            self._processes.wait()  # the others learn from these flights
            self._learn(number, metrics)
            self._export(number)
            rate = self._judge(number, metrics)
            self._console.print(
                f"round {number}: {collected}; dev success {100 * rate:.0f}%;"
                f" {time.perf_counter() - started:.0f} s",
                highlight=False,
            )
            after_round(number, rate)
            self._processes.wait()  # the others read whether this was the last
            if self._ends_early(number):
                self._console.print(
                    f"no better dev success for {config.patience} rounds: round {number} is the last"
                )
                break
        metrics.close()
        self._choose()
        self._processes.wait()
        return None

    def _learn_along(self) -> None:
        """What every process but the first does: learn its shares of the same batches."""
        for number in range(self._position.round, self._config.rounds):
            self._processes.wait()
            done = self._position.step if self._position.round == number else 0
            if done < self._config.steps[number]:
                self._learner.round(self._dataset(number), number, done, lambda _: None)
            self._processes.wait()
            if self._ends_early(number):
                break
        self._processes.wait()

    def _ends_early(self, number: int) -> bool:
        if not self._config.patience:
            return False
        rates = [success_rate(read_dev(self._round(r) / "dev.json")) for r in range(number + 1)]
        return ends_early(rates, self._config.patience)

    def _round(self, number: int) -> Path:
        return self._folder / "rounds" / f"{number:02d}"

    def _restore(self) -> Position:
        """Put the newest checkpoint's state into the learner."""
        for number in reversed(range(self._config.rounds)):
            path = self._round(number) / "checkpoint.safetensors"
            if path.exists():
                checkpoint = load_checkpoint(path)
                other = difference(self._config, checkpoint.config)
                if other:
                    raise InputError(f"{path}: the checkpoint is of another configuration: {other}")
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

    def _dataset(self, number: int) -> WindowDataset:
        config, spec = self._config, self._spec
        camera = spec.camera
        expected = Expected(config.collect.env, camera.height, camera.width, spec.dt_min, spec.dt_max)
        return WindowDataset(
            self._episodes, self._keys(number), config.frames, config.burn_in, config.augmentation, expected
        )

    def _learn(self, number: int, metrics: Metrics) -> None:
        done = self._position.step if self._position.round == number else 0
        total = self._config.steps[number]
        if done == total:
            return
        dataset = self._dataset(number)
        with live_bar(self._console, f"round {number}: learning", total) as bar:
            watch = Watch(metrics, bar, self._save, self._config.checkpoint_seconds)
            try:
                self._learner.round(dataset, number, done, watch.after_step)
            except DivergenceError as error:
                raise DivergenceError(
                    f"{error}: training diverges and was stopped; {self._last_good()}"
                ) from error
        self._save(Position(number, total))

    def _last_good(self) -> str:
        path = self._round(self._position.round) / "checkpoint.safetensors"
        kept = (
            f"{path} is the last good checkpoint (step {self._position.step})"
            if path.exists()
            else "there was no checkpoint before it"
        )
        return f"{kept}; train in another folder with a lower --learning-rate"

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

    def _judge(self, number: int, metrics: Metrics) -> float:
        path = self._round(number) / "dev.json"
        if not path.exists():
            rows = self._fly_dev(number)
            worlds = {f"dev_success/{row['world']}": row["success_rate"] for row in rows}
            position = Position(number, self._config.steps[number])
            metrics.write(position, {"dev_success": success_rate(rows), **worlds})
            write_atomically(path, (json.dumps(rows, indent=1) + "\n").encode())
        return success_rate(read_dev(path))

    def _fly_dev(self, number: int) -> list[dict[str, Any]]:
        config = self._config
        jobs = dev_jobs(config, self._round(number) / "policy.onnx", range(config.dev_episodes))
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
        paths = [self._round(number) / "dev.json" for number in range(self._config.rounds)]
        results = [read_dev(path) for path in paths if path.exists()]  # fewer after an early end
        rounds = range(len(results))
        for best in sorted(rounds, key=lambda number: (success_rate(results[number]), number), reverse=True):
            checkpoint = load_checkpoint(self._round(best) / "checkpoint.safetensors")
            restore(checkpoint, self._learner.imitator, None)
            network = self._learner.network
            card = run_card(self._config, network, self._spec, best, tuple(results[best]))
            readme = run_readme(self._config, best, results[best])
            try:
                write_atomically(self._folder / "README.md", readme.encode())
                export_policy(network, card, self._folder / "policy.onnx")
            except ExportError as error:
                self._console.print(f"round {best} cannot be the result: {error}")
                continue
            self._console.print(f"best in dev worlds: round {best}, {100 * success_rate(results[best]):.0f}%")
            return
        raise InputError(f"{self._folder}: no round could be exported exactly enough; see above")
