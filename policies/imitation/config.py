"""What a training run is: everything that decides its result stands here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from navstack.errors import InputError, nearest
from navstack.policies.augment import Augmentation


@dataclass(frozen=True, slots=True)
class CollectConfig:
    """How flights are flown for learning. Times in seconds of flight."""

    env: str = "FlyToTarget"
    # flown in turn; two thirds of the flights are in worlds that are drawn at random as a whole
    worlds: tuple[str, ...] = (
        "meadow", "mosaic", "studio", "forest", "mosaic", "studio",
        "hills", "mosaic", "studio", "beach", "mosaic", "studio",
    )  # fmt: skip
    seed: int = 0
    slowest_hz: float = 10.0  # the frame rate is drawn per flight between these
    fastest_hz: float = 40.0
    drop: float = 0.6  # in half of the flights frames are lost with a probability drawn up to this
    jitter: float = 0.2  # the frame interval's jitter is drawn up to this
    disturbed: float = 0.5  # of the learner's flights whose commands are disturbed; the expert's all are
    sway: float = 0.25  # deviation of the slow disturbance of the command, in limits
    sway_time: float = 0.6  # s, its correlation time
    kicks_per_second: float = 0.2  # rate of bursts in which another command is flown
    kick_time: float = 0.8  # s, mean length of a burst of a random command
    overrun: float = 0.4  # of the bursts are of full speed ahead: they end too close to the target
    overrun_time: float = 1.5  # s, mean length of those
    calm_after: tuple[float, float] = (2.0, 12.0)  # s, drawn: then the flight goes on undisturbed
    segment_time: float = 1.5  # s, mean length of the segments that learner or expert flies in DAgger
    longest: float = 22.0  # s after which a flight for learning is cut off
    anywhere: float = 0.7  # of the flights begin anywhere and are short: as many pictures of more places
    short: float = 5.0  # s after which such a flight is cut off
    guard: bool = True
    task_options: tuple[str, ...] = ()  # the task's parameters, each "name=value"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run. Equal configurations give equal results on equal machines."""

    collect: CollectConfig = CollectConfig()
    network: str = "cfc-strict"
    neurons: int = 0  # of the core; 0: the network's own size, and the three below are not used
    sparsity: float = 0.5  # of the wiring
    solver: str = "fused"  # of an LTC
    solver_steps: int = 6  # of an LTC, a frame
    seed: int = 0
    expert_episodes: int = 280  # round 0
    dagger_episodes: tuple[int, ...] = (140, 140, 140)  # rounds 1, 2, ...
    expert_share: tuple[float, ...] = (0.3, 0.1, 0.0)  # of the segments of rounds 1, 2, ... the expert flies
    steps: tuple[int, ...] = (1400, 800, 800, 2400)  # gradient steps after the episodes of each round
    windows: int = 12  # a batch
    frames: int = 32  # a window
    burn_in: int = 6  # frames that only warm the state up, where a window does not begin at the start
    learning_rate: float = 3e-3  # peak of round 0
    later_rate: float = 2e-3  # peak of the rounds after it
    weight_decay: float = 0.03
    clip: float = 5.0  # largest gradient norm
    huber: float = 0.1  # errors (in limits) below this count quadratically, above linearly
    reader: float = 1.0  # weight of the loss of commands read from single frames
    memory: float = 0.0  # s, longest time constant that the network begins with; 0: weights as drawn
    patience: int = 0  # rounds without a better dev success after which the run ends; 0: all are done
    demonstrations: str = ""  # SHA-256 over given episodes that stand for the expert's flights
    augmentation: Augmentation = Augmentation()
    dev_worlds: tuple[str, ...] = ("park", "farmland", "barn", "bazaar")
    dev_episodes: int = 12  # in each dev world after each round
    dev_longest: float = 300.0  # s after which a dev flight is cut off: beyond every task's own time limit
    checkpoint_seconds: float = 10.0  # wall time between checkpoints; decides nothing but what a kill costs
    workers: int = 2
    threads: int = 2
    accelerator: str = "cpu"
    precision: str = "32-true"  # or bf16-mixed: the convolutions in bfloat16
    backend: str = "torch"  # that computes the core's sequences: torch or numba

    def __post_init__(self) -> None:
        """Check what belongs together. Raises InputError."""
        rounds = 1 + len(self.dagger_episodes)
        if len(self.steps) != rounds or len(self.expert_share) != rounds - 1:
            raise InputError(
                f"a run with {rounds - 1} DAgger rounds needs {rounds} numbers of steps and {rounds - 1}"
                f" expert shares; found {len(self.steps)} and {len(self.expert_share)}"
            )
        if min(self.expert_episodes, *self.dagger_episodes, *self.steps, self.windows, self.frames) < 1:
            raise InputError("episodes, steps, windows and frames must be at least 1")
        if self.memory < 0.0 or self.patience < 0 or not min(self.learning_rate, self.later_rate) > 0.0:
            raise InputError(
                "memory and patience must be at least 0 and learning rates above 0; found memory"
                f" {self.memory:g} s, patience {self.patience}, learning rates {self.learning_rate:g} and"
                f" {self.later_rate:g}"
            )
        if self.backend != "torch" and self.accelerator != "cpu":
            raise InputError(
                f"the back end {self.backend} computes on a CPU; the accelerator is {self.accelerator}"
            )
        if not 0 <= self.burn_in < self.frames:
            raise InputError(
                f"burn_in is {self.burn_in}; it must be at least 0 and below frames ({self.frames})"
            )

    @property
    def rounds(self) -> int:
        """Number of rounds, the expert's included."""
        return len(self.steps)

    def episodes(self, round_: int) -> int:
        """Number of episodes collected in a round."""
        return self.expert_episodes if round_ == 0 else self.dagger_episodes[round_ - 1]


PRESETS: dict[str, TrainConfig] = {
    "quick": TrainConfig(),
    "full": TrainConfig(
        expert_episodes=800,
        dagger_episodes=(400, 400, 400, 600),
        expert_share=(0.3, 0.1, 0.0, 0.0),
        steps=(2500, 1500, 1500, 2000, 6000),
        dev_worlds=("park", "farmland", "barn", "bazaar", "suburb"),
        dev_episodes=40,
    ),
}
"""Training runs by name: `quick` is the demonstration's, `full` made the policies that ship."""


def preset(name: str) -> TrainConfig:
    """The preset with this name. Raises InputError that names the nearest one."""
    if name not in PRESETS:
        raise InputError(f"preset '{name}' not found{nearest(name, PRESETS)} (presets: {', '.join(PRESETS)})")
    return PRESETS[name]


# decide nothing about the result: a run may be resumed with others
FREE = ("checkpoint_seconds", "workers")


def config_to_json(config: TrainConfig) -> str:
    """The configuration as JSON, keys sorted."""
    return json.dumps(asdict(config), sort_keys=True, indent=1)


def config_from_json(values: dict[str, Any]) -> TrainConfig:
    """The configuration that `config_to_json` wrote. Raises InputError where it does not fit this version."""
    try:
        collect = CollectConfig(**_tuples(values["collect"]))
        rest = _tuples(values)
        return TrainConfig(
            **{**rest, "collect": collect, "augmentation": Augmentation(**values["augmentation"])}
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the run's configuration does not fit this version of navstack ({error})"
        ) from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def difference(config: TrainConfig, found: dict[str, Any]) -> str | None:
    """The first setting in which a run found on disk differs, in words; None where it is the same run."""
    wanted = json.loads(config_to_json(config))
    usual = json.loads(config_to_json(TrainConfig()))
    # a run of an earlier version has no setting that came later: it ran with what is usual now
    found = {**usual, **found}
    for name in ("collect", "augmentation"):
        found[name] = {**usual[name], **found[name]} if isinstance(found[name], dict) else found[name]
    for field in fields(TrainConfig):
        have, want = found.get(field.name), wanted[field.name]
        if field.name not in FREE and have != want:
            if isinstance(have, dict) and isinstance(want, dict):
                inner = next(key for key in sorted(want | have) if want.get(key) != have.get(key))
                return f"{field.name}.{inner} is {have.get(inner)} there and {want.get(inner)} here"
            return f"{field.name} is {have} there and {want} here"
    return None
