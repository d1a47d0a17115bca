"""`navstack explain`: what a policy looks at, what its neurons do, how far its gradients reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Flight:
    """Explain a policy on a recorded flight: attention, neurons, steadiness under noise, as pictures."""

    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    """Path of a policy.onnx, or the name of a policy that ships with navstack."""
    flight: Annotated[Path, tyro.conf.Positional]
    """Flight log of navstack fly (.mcap), or an episode of a training run (.safetensors)."""
    out: Path
    """Folder for the pictures; it must be new or empty."""
    seed: int = 0
    """Seed of the image noise."""

    def __call__(self) -> int:
        """Write them."""
        from navstack.policies.explain.command import explain_flight

        return explain_flight(self)


@dataclass(frozen=True)
class Gradients:
    """Draw how a network's gradient fades with the distance in time.

    For networks as they are drawn at first, by name; with --memory for those that can begin with time
    constants once more with them; and for the networks of training runs on frames of their own episodes.
    """

    out: Path
    """The picture to write, ending in .png; its numbers go beside it as .json."""
    network: tuple[str, ...] | None = None
    """Networks by name; all of them by default."""
    run: tuple[Path, ...] = ()
    """Folders of training runs; their newest checkpoints are drawn."""
    memory: float = 10.0
    """Longest time constant in s of the networks that are drawn once more with time constants; 0 for none."""
    frames: int = 200
    """Distance to look back, in frames."""
    seed: int = 0
    """Seed of weights and features."""

    def __call__(self) -> int:
        """Write it."""
        from navstack.policies.explain.command import explain_gradients

        return explain_gradients(self)


@dataclass(frozen=True)
class Explain:
    """Explain a policy: what it looks at, what its neurons do, how far its gradients reach, as pictures."""

    do: tyro.conf.OmitArgPrefixes[
        Annotated[Flight, tyro.conf.subcommand("flight", prefix_name=False)]
        | Annotated[Gradients, tyro.conf.subcommand("gradients", prefix_name=False)]
    ]
    """What to explain."""

    def __call__(self) -> int:
        """Do it."""
        return self.do()
