#!/usr/bin/env python3
"""Front-ends compared: what each costs to learn, and how well the whole policy flies that learned with it.

usage: .venv/bin/python scripts/frontends.py OUT [--frontend NAME ...] [--demonstrations N] [--seeds N]
                                             [--steps N] [--episodes N] [--repeats N] [--env TASK]

First the speed of every front-end on one thread, each in turn in one process (OUT/speed.json): forward and
backward of the front-end alone by processor time, and its share of a gradient step (augmentation aside).
Then the expert's flights are flown once (OUT/episodes), and with each front-end the whole policy clones them,
with the same gradient steps and without DAgger. The exported policy (OUT/policies) flies the dev worlds, all
policies the same flights, which choose nothing. OUT/frontends.json has a row a policy. In the end the table
is printed as Markdown. What is there is not done again, so the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from navstack.errors import exit_status
from navstack.files import disk_errors, write_atomically
from navstack.policies.benchmark.timing import Step, median_seconds, threads
from navstack.policies.export import export_policy
from navstack.policies.imitation.card import network_spec, run_card
from navstack.policies.imitation.cloning import cloning_config, fly_expert
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.imitation.dataset import Expected, WindowDataset
from navstack.policies.imitation.learn import Learner, imitation_loss
from navstack.policies.imitation.processes import Processes
from navstack.policies.imitation.report import live_bar
from navstack.policies.imitation.rollout import dev_jobs, judge_policy
from navstack.policies.imitation.run import ROUND_TOLERANCE
from navstack.policies.network import NetworkSpec
from navstack.policies.vision import LAYERS, Layers, Vision
from navstack.results import SUCCESS
from navstack.statistics import paired_difference, wilson_interval
from navstack.workers import Workers

MAPS = 16  # of the attention head


class SpatialAttention(nn.Module):
    """Maps to keypoints: (N, C, H, W) float32 to (N, 6 K).

    Each of K maps answers "where is it, how wide does it spread, how sure am I, and what does it look like":
    expected image position and its square (spatial softmax; Finn et al. 2016, "Deep Spatial Autoencoders for
    Visuomotor Learning"), the log-sum-exp of the map, and the attended value of a second map.
    """

    position: Tensor  # (H W, 4): x, y, x^2, y^2 of each cell, in [-1, 1]

    def __init__(self, channels: int, height: int, width: int, maps: int) -> None:
        super().__init__()
        self.maps = maps
        self.key_value = nn.Linear(channels, 2 * maps)
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        x, y = x.reshape(-1), y.reshape(-1)
        self.register_buffer("position", torch.stack([x, y, x * x, y * y], dim=1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Where each attention map looks, how widely, how strongly, and the value it sees there."""
        cells = maps.permute(0, 2, 3, 1).flatten(1, 2)  # a view: maps stand in memory as channels_last
        key, value = self.key_value(cells).transpose(1, 2).contiguous().split(self.maps, dim=1)
        attention = torch.softmax(key, dim=-1)
        where = (attention @ self.position).flatten(1)
        what = (attention * value).sum(-1)
        strength = torch.logsumexp(key, dim=-1)
        return torch.cat([where, what, strength], dim=1)


class AttentionVision(Vision):
    """A vision whose head says where its attention maps look, instead of every cell as it is."""

    def __init__(self, height: int, width: int, layers: Layers) -> None:
        super().__init__(height, width, layers=layers)
        for _, stride, _ in layers:
            height, width = height // stride, width // stride
        self.head = SpatialAttention(layers[-1][2], height, width, MAPS)
        self.features = nn.Linear(6 * MAPS, self.feature_size)

    def multiply_adds(self) -> int:
        """Multiply-adds of one frame: those of all products with weights, and of the attended means."""
        assert isinstance(self.head, SpatialAttention)
        cells = len(self.head.position)
        return super().multiply_adds() + (self.head.key_value.weight.numel() + 5 * MAPS) * cells


class ContiguousVision(Vision):
    """The vision that ships on pictures and maps that stand in memory plane by plane (NCHW)."""

    def forward(self, image: Tensor) -> Tensor:
        """Features of a batch of images."""
        planes = image.permute(0, 3, 1, 2).contiguous()
        return super().forward(planes.permute(0, 2, 3, 1))


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """A candidate: convolutions and head, layout in memory, precision while learning."""

    what: str
    layers: Layers = LAYERS
    attention: bool = False
    contiguous: bool = False
    precision: str = "32-true"

    def vision(self, height: int, width: int) -> Vision:
        """Fresh weights, for pictures of this size (pixels)."""
        if self.attention:
            return AttentionVision(height, width, self.layers)
        return (ContiguousVision if self.contiguous else Vision)(height, width, layers=self.layers)


SHIPPED = "6s4-flat"
FRONT_ENDS = {
    "5s2-flat": FrontEnd("5 s2 8, 3 s2 24, 3 s2 32, flat", ((5, 2, 8), (3, 2, 24), (3, 2, 32))),
    "5s2-attention": FrontEnd(
        "5 s2 8, 3 s2 16, 3 s2 32, 3 s1 32, attention",
        ((5, 2, 8), (3, 2, 16), (3, 2, 32), (3, 1, 32)),
        attention=True,
    ),
    SHIPPED: FrontEnd("6 s4 24, 3 s2 32, 3 s1 32, flat (ships)"),
    "8s4-flat": FrontEnd("8 s4 16, 3 s2 32, 3 s1 32, flat", ((8, 4, 16), (3, 2, 32), (3, 1, 32))),
    "8s4-attention": FrontEnd(
        "8 s4 16, 3 s2 32, 3 s1 32, attention", ((8, 4, 16), (3, 2, 32), (3, 1, 32)), attention=True
    ),
    "contiguous": FrontEnd("what ships, contiguous (NCHW)", contiguous=True),
    "bfloat16": FrontEnd("what ships, learned in bfloat16", precision="bf16-mixed"),
}
"""Candidates by name. The layout changes no result but for rounding: it is timed and not flown."""


def main() -> int:
    """Time, fly, clone, judge, print."""
    given = arguments()
    console, episodes = Console(), given.out / "episodes"
    config = replace(
        cloning_config(given.env, given.steps, given.episodes), expert_episodes=given.demonstrations
    )
    with disk_errors(given.out):
        episodes.mkdir(parents=True, exist_ok=True)
        (given.out / "policies").mkdir(exist_ok=True)
    speeds, path = measured(given.out / "speed.json", config, given.repeats), given.out / "frontends.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    with Workers(config.workers) as workers:
        fly_expert(episodes, config.collect, given.demonstrations, workers, console)
        for seed, name in itertools.product(range(given.seeds), given.frontend):
            wanted = replace(config, seed=seed, precision=FRONT_ENDS[name].precision)
            if not any(matches(row, wanted) and row["front_end"] == name for row in rows):
                rows.append(learn_and_fly(name, wanted, given.out, workers, console))
                write_atomically(path, (json.dumps(rows) + "\n").encode())
    print(table([row for row in rows if matches(row, config, any_seed=True)], speeds))
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flown = [name for name in FRONT_ENDS if name != "contiguous"]
    parser.add_argument("out", type=Path, help="folder, new or to go on with")
    parser.add_argument("--frontend", nargs="+", default=flown, choices=flown, help="that learn and fly")
    parser.add_argument("--demonstrations", type=int, default=300, help="default %(default)s")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each (default %(default)s)")
    parser.add_argument("--steps", type=int, default=800, help="gradient steps (default %(default)s)")
    parser.add_argument(
        "--episodes", type=int, default=25, help="flights in each dev world (default %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=10, help="timings of each (default %(default)s)")
    parser.add_argument("--env", default="FlyToTarget", help="task (default %(default)s)")
    return parser.parse_args()


def measured(path: Path, config: TrainConfig, repeats: int) -> dict[str, dict[str, Any]]:
    """The speeds by front-end: those in the file, or taken now and written there."""
    if not path.exists():
        write_atomically(path, (json.dumps(speeds(config, repeats), indent=1) + "\n").encode())
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return found


def speeds(config: TrainConfig, repeats: int) -> dict[str, dict[str, Any]]:
    """Size, frames/s of processor time on one thread, and share of a gradient step of every front-end."""
    steps: dict[str, Step] = {}
    sizes: dict[str, dict[str, Any]] = {}
    with threads(1):
        for name, candidate in FRONT_ENDS.items():
            learner = learner_of(candidate, replace(config, precision=candidate.precision))
            vision = learner.network.vision
            sizes[name] = {
                "parameters": vision.parameter_count(), "multiply_adds": vision.multiply_adds(),
            }  # fmt: skip
            steps[f"{name} alone"], steps[f"{name} whole"] = timed(learner, candidate.precision)
        seconds = median_seconds(steps, repeats, time.process_time)
    frames = config.windows * config.frames
    return {
        name: size | {
            "frames_per_second": frames / seconds[f"{name} alone"],
            "share_of_step": seconds[f"{name} alone"] / seconds[f"{name} whole"],
        }
        for name, size in sizes.items()
    }  # fmt: skip


def learner_of(candidate: FrontEnd, config: TrainConfig) -> Learner:
    """Network and optimiser of a training with this front-end."""
    spec = replace(network_spec(config), vision=candidate.vision)
    return Learner(config, spec, Processes("cpu", config.precision))


def timed(learner: Learner, precision: str) -> tuple[Step, Step]:
    """Forward and backward of the front-end, and a whole gradient step, over a batch that is in memory."""
    config, network, processes = learner.config, learner.network, Processes("cpu", precision)
    shape = config.windows, config.frames
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (*shape, *network.vision.size, 3), dtype=torch.uint8, generator=random)
    dt, weight, target = torch.full(shape, 0.05), torch.ones(shape), torch.zeros(*shape, 4)
    learner.imitator.train()

    def alone() -> None:
        with processes.autocast():
            features = network.vision.sequence(images)
        features.float().square().mean().backward()

    def whole() -> None:
        learner.optimizer.zero_grad()
        with processes.autocast():
            commands = learner.imitator(images, dt)
        losses = [imitation_loss(c, target, network.limits, weight, config.huber) for c in commands]
        torch.stack(losses).sum().backward()
        for parameter in learner.imitator.parameters():  # as the learner's, which the fused optimiser needs
            assert parameter.grad is not None
            parameter.grad = parameter.grad.contiguous()
        learner.optimizer.step()

    return alone, whole


def learn_and_fly(
    name: str, config: TrainConfig, out: Path, workers: Workers, console: Console
) -> dict[str, Any]:
    """One training and its flights in the dev worlds: a row."""
    learner = learner_of(FRONT_ENDS[name], config)
    spec = replace(network_spec(config), vision=FRONT_ENDS[name].vision)
    started = time.process_time()
    learn(learner, dataset(out / "episodes", config, spec), console, name)
    seconds = time.process_time() - started
    policy = out / "policies" / f"{name}-{config.expert_episodes}-{config.steps[0]}-{config.seed}.onnx"
    export_policy(learner.network, run_card(config, learner.network, spec, 0), policy, ROUND_TOLERANCE)
    won = flights(policy, config, workers, console)
    low, high = wilson_interval(sum(won), len(won))
    found = {
        "front_end": name, "env": config.collect.env, "demonstrations": config.expert_episodes,
        "steps": config.steps[0], "seed": config.seed, "worlds": list(config.dev_worlds),
        "episodes": len(won), "successes": sum(won), "success_rate": sum(won) / len(won), "ci_low": low,
        "ci_high": high, "won": won, "learning_cpu_seconds": seconds,
    }  # fmt: skip
    console.print(f"{name}, seed {config.seed}: {percent(won)}", highlight=False)
    return found


def dataset(episodes: Path, config: TrainConfig, spec: NetworkSpec) -> WindowDataset:
    """Windows of the demonstrations."""
    keys = [(0, index) for index in range(config.expert_episodes)]
    camera = spec.camera
    expected = Expected(config.collect.env, camera.height, camera.width, spec.dt_min, spec.dt_max)
    return WindowDataset(episodes, keys, config.frames, config.burn_in, config.augmentation, expected)


def learn(learner: Learner, windows: WindowDataset, console: Console, name: str) -> None:
    """All gradient steps of a training."""
    total = learner.config.steps[0]
    with live_bar(console, f"{name}: learning", total) as bar:
        learner.round(windows, 0, 0, lambda report: bar.show(report.step, f"loss {report.loss:.3f}"))


def flights(policy: Path, config: TrainConfig, workers: Workers, console: Console) -> list[bool]:
    """Whether each flight in the dev worlds was won, world by world."""
    jobs = dev_jobs(config, policy, range(config.dev_episodes))
    won: list[bool] = []
    with live_bar(console, f"{policy.stem}: dev worlds", len(jobs)) as bar:
        for outcome in workers.map(judge_policy, jobs):
            won.append(outcome == SUCCESS)
            bar.show(len(won), f"{sum(won)} successes")
    return won


def matches(row: dict[str, Any], config: TrainConfig, any_seed: bool = False) -> bool:
    """Whether a row is of this training, or of one with another seed, and of as many flights."""
    wanted = config.collect.env, config.expert_episodes, config.steps[0], config.dev_episodes
    episodes = row["episodes"] // len(row["worlds"])
    found = row["env"], row["demonstrations"], row["steps"], episodes
    return wanted == found and (any_seed or row["seed"] == config.seed)


def percent(won: Sequence[bool]) -> str:
    """Successes, their share and its Wilson 95% interval."""
    low, high = wilson_interval(sum(won), len(won))
    return f"{sum(won)} of {len(won)}, {100 * sum(won) / len(won):.1f}% [{100 * low:.1f}, {100 * high:.1f}]"


def table(rows: list[dict[str, Any]], speeds: dict[str, dict[str, Any]]) -> str:
    """Front-ends by speed, success, and difference from what ships over the same flights, as Markdown."""
    head = "front-end", "parameters", "multiply-adds", "frames/s", "of a step", "success", "against shipped"
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, speed in speeds.items():
        cells = (
            FRONT_ENDS[name].what, f"{speed['parameters']:,}", f"{speed['multiply_adds']:,}",
            f"{speed['frames_per_second']:,.0f}", f"{100 * speed['share_of_step']:.0f}%",
            *success(name, rows),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def success(name: str, rows: list[dict[str, Any]]) -> tuple[str, str]:
    """Success of a front-end over all seeds, and its difference over flights that what ships flew too."""
    mine, shipped = (
        {row["seed"]: row["won"] for row in rows if row["front_end"] == other} for other in (name, SHIPPED)
    )
    if not mine:
        return "", ""
    rate = percent(list(itertools.chain(*mine.values())))
    both = sorted(mine.keys() & shipped.keys())
    if name == SHIPPED or not both:
        return rate, ""
    a, b = ([flight for seed in both for flight in won[seed]] for won in (shipped, mine))
    found = paired_difference(a, b)
    return rate, f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


if __name__ == "__main__":
    sys.exit(exit_status(main))
