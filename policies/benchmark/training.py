"""`navstack bench train`: frames a second that the whole policy learns from, and where the time goes.

One gradient step as `navstack train` takes it, with two threads, on pictures that are already in memory:
vision, core, loss, backward, optimiser. The floor is what the machine's multiply-adds would need: three times
those of the forward pass (backward has two products for each) at the rate of a large matrix product.
"""

from __future__ import annotations

import time
from importlib.util import find_spec

import torch

from navstack.benchmarks import Row, figure_row, rate_row, skipped_row
from navstack.policies.benchmark.timing import Step, median_seconds, threads
from navstack.policies.cells.backends import use_backend
from navstack.policies.network import NetworkSpec, PolicyNetwork, build_network

WINDOWS, FRAMES, REPEATS = 12, 32, 8  # of `navstack train`
PASSES = 3  # forward, and two products for each in the backward pass
MATRIX = 1024


def bench_train() -> list[Row]:
    """Frames/s of learning, the vision's and the core's shares of the time, and the floor."""
    with threads():
        torch.manual_seed(0)
        network = build_network(NetworkSpec())
        images = torch.randint(0, 256, (WINDOWS, FRAMES, 64, 96, 3), dtype=torch.uint8)
        steps = _steps(network, images)
        if find_spec("numba") is not None:
            fast = build_network(NetworkSpec())
            use_backend(fast, "numba")
            steps["whole by numba"] = _steps(fast, images)["whole"]
        seconds = median_seconds(steps, REPEATS)
        peak = _multiply_adds_a_second()
        vision, core = network.vision.multiply_adds(), network.core.multiply_adds()
        floor = peak / (PASSES * (vision + core))
        frames = WINDOWS * FRAMES
        whole = seconds["whole"]
        return [
            _frames(
                rate_row("learning, whole policy", frames / whole, "the multiply-add floor", floor, None)
            ),
            _numba_row(frames, seconds),
            figure_row("of the time: vision", 100.0 * seconds["vision"] / whole, "%"),
            figure_row("of the time: core", 100.0 * seconds["core"] / whole, "%"),
            figure_row("of the multiply-adds: vision", 100.0 * vision / (vision + core), "%"),
            figure_row(f"multiply-adds, {MATRIX} x {MATRIX} product, float32", peak / 1e9, "G/s"),
        ]


def _numba_row(frames: int, seconds: dict[str, float]) -> Row:
    """The same learning with the core by Numba, against that in plain torch."""
    what = "learning, whole policy, core by numba"
    if "whole by numba" not in seconds:
        return skipped_row(what, "not run: pip install 'navstack[fast]' brings numba")
    fast, plain = frames / seconds["whole by numba"], frames / seconds["whole"]
    return _frames(rate_row(what, fast, "with torch", plain, None))


def _frames(row: Row) -> Row:
    return row | {"unit": "frames/s"}


def _steps(network: PolicyNetwork, images: torch.Tensor) -> dict[str, Step]:
    """The whole step, and its two parts alone, forward and backward."""
    dt, state = torch.full(images.shape[:2], 0.05), network.initial_state(WINDOWS)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
    features = network.vision.sequence(images).detach()

    def whole() -> None:
        optimizer.zero_grad()
        commands, _ = network.sequence(images, dt, state)
        (commands / network.limits).square().mean().backward()
        optimizer.step()

    def vision() -> None:
        network.vision.sequence(images).square().mean().backward()

    def core() -> None:
        network.core.sequence(features, state, network.periods(dt))[0].square().mean().backward()

    return {"whole": whole, "vision": vision, "core": core}


def _multiply_adds_a_second() -> float:
    """Of a large product of matrices, the best of many."""
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return MATRIX**3 / best
