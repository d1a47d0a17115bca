"""What the neurons of a policy do over a flight, and how fast each of them is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from navstack.policies.explain.attention import batches
from navstack.policies.explain.graph import PolicyGraph
from navstack.policies.explain.replay import Replay

LONGEST = 1e3  # s: slower than anything that a flight shows


@dataclass(frozen=True, slots=True)
class TimeConstants:
    """A time constant of every neuron at every frame."""

    seconds: npt.NDArray[np.float32]  # (T, S)
    meaning: str  # which one it is, with its source


def time_constants(graph: PolicyGraph, replay: Replay) -> TimeConstants:
    """The liquid time constants of a CfC, and of any other cell how fast it forgets.

    A CfC's neuron blends two targets by a gate sigmoid(-f t), where f, which depends on input and state, acts
    as the liquid time constant (Hasani et al. 2022, the text below equation 4): 1/|f|.

    Of any other cell a small displacement of a neuron's own state, which a frame shrinks by the factor
    d next_state[i] / d state[i] over dt, is forgotten with the time constant -dt / ln of that factor.
    """
    factors = _gate_factors(graph)
    parts = []
    for image, dt, state in batches(replay):
        if factors is not None:
            with torch.no_grad():
                values = graph.run(image, dt, state)
            f = torch.cat([values[name] for name in factors], dim=1).abs() * graph.card.rate_hz
            parts.append(1.0 / f.clamp(min=1.0 / LONGEST))
        else:
            kept = _kept_of_itself(graph, image, dt, state).abs().clamp(1e-12, 1.0 - 1e-6)
            parts.append((-dt / kept.log()).clamp(max=LONGEST))
    meaning = "gate 1/|f| (Hasani et al. 2022)" if factors is not None else "forgetting of its own state"
    return TimeConstants(torch.cat(parts).numpy().astype(np.float32), meaning)


def _gate_factors(graph: PolicyGraph) -> list[str] | None:
    """Names of the values f in sigmoid(f dt + b), which together cover the state in its order; or None."""
    only_dt = graph.depending_on("dt")
    found = []
    for node in graph.nodes:
        if node.operator != "Sigmoid":
            continue
        total = graph.maker(node.inputs[0])
        for name in total.inputs if total is not None and total.operator == "Add" else ():
            product = graph.maker(name)
            if product is not None and product.operator == "Mul":
                times = [value for value in product.inputs if value in only_dt]
                others = [value for value in product.inputs if value not in only_dt]
                if times and others:
                    found.append(others[0])
    size = _width(graph, found)
    return found if found and size == graph.card.state_size else None


def _width(graph: PolicyGraph, names: list[str]) -> int:
    card = graph.card
    with torch.no_grad():
        values = graph.run(
            torch.zeros(1, card.camera.height, card.camera.width, 3, dtype=torch.uint8),
            torch.full((1, 1), 1.0 / card.rate_hz),
            torch.zeros(1, card.state_size),
        )
    return sum(values[name].shape[-1] for name in names)


def _kept_of_itself(graph: PolicyGraph, image: Tensor, dt: Tensor, state: Tensor) -> Tensor:
    """d next_state[i] / d state[i] of every frame: (N, S)."""
    state = state.clone().requires_grad_()
    following = graph.run(image, dt, state)["next_state"]
    diagonal = torch.zeros_like(following)
    for neuron in range(following.shape[1]):
        if not following.requires_grad:
            break
        (gradient,) = torch.autograd.grad(following[:, neuron].sum(), state, retain_graph=True)
        diagonal[:, neuron] = gradient[:, neuron]
    return diagonal
