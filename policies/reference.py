"""The policy's network in torch, eager, one thread: what the exported file is timed against."""

from __future__ import annotations

from collections.abc import Callable

import torch

from navstack.contract import Image
from navstack.policies.network import NetworkSpec, build_network
from navstack.policy import read_policy


def torch_eager(policy: str) -> Callable[[Image, float], None]:
    """A step of the network that the policy's card names; its weights are fresh, which costs the same."""
    card = read_policy(policy).card
    torch.set_num_threads(1)
    spec = NetworkSpec(
        card.network,
        camera=card.camera,
        limits=card.limits,
        rate_hz=card.rate_hz,
        dt_min=card.dt_min,
        dt_max=card.dt_max,
    )
    network = build_network(spec).eval()
    state = [network.initial_state(1)]

    def step(image: Image, dt: float) -> None:
        with torch.inference_mode():
            picture, interval = torch.from_numpy(image)[None], torch.full((1, 1), dt)
            command, state[0] = network.step(picture, interval, state[0])
            command[0].tolist()

    return step
