"""Solvers of the cells that are differential equations: explicit Euler, Runge-Kutta, an adaptive reference.

A derivative is a function of the state alone: within a frame the input is held. Each sequence of a batch has
its own span of time, so steps are shares of it: all solvers take as many steps whatever dt is, which is what
makes a fixed graph for export.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from navstack.errors import InputError, nearest
from navstack.policies.cells.cell import DenseCell

Derivative = Callable[[Tensor], Tensor]

ADAPTIVE_RTOL, ADAPTIVE_ATOL = 1e-10, 1e-12  # of the reference, meant for float64


def euler(derivative: Derivative, state: Tensor, dt: Tensor, steps: int) -> Tensor:
    """`steps` explicit Euler steps over dt (B, 1): order 1, stable while a step is under 2 time constants."""
    step = dt / steps
    for _ in range(steps):
        state = state + step * derivative(state)
    return state


def rk4(derivative: Derivative, state: Tensor, dt: Tensor, steps: int) -> Tensor:
    """`steps` steps of the classical Runge-Kutta method (Kutta 1901) over dt (B, 1): order 4."""
    step = dt / steps
    for _ in range(steps):
        k1 = derivative(state)
        k2 = derivative(state + 0.5 * step * k1)
        k3 = derivative(state + 0.5 * step * k2)
        k4 = derivative(state + step * k3)
        state = state + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return state


def adaptive(derivative: Derivative, state: Tensor, dt: Tensor, steps: int) -> Tensor:
    """Dormand and Prince 1980, order 5(4) with step control, by torchdiffeq; `steps` is not used.

    The state as a function of the share of dt that has passed has dt times the derivative, so that sequences
    of different dt are solved together. A reference, not for flying. Raises InputError without torchdiffeq.
    """
    try:
        from torchdiffeq import odeint
    except ModuleNotFoundError as error:
        raise InputError("the adaptive solver needs torchdiffeq: pip install 'navstack[ode]'") from error
    shares = torch.tensor([0.0, 1.0], dtype=state.dtype)
    solution: Tensor = odeint(
        lambda _, now: dt * derivative(now), state, shares, rtol=ADAPTIVE_RTOL, atol=ADAPTIVE_ATOL
    )
    return solution[-1]


SOLVERS: dict[str, Callable[[Derivative, Tensor, Tensor, int], Tensor]] = {
    "euler": euler,
    "rk4": rk4,
    "adaptive": adaptive,
}
"""Solvers of any derivative by name. An LTC has `fused` beside them, which needs more than a derivative."""

EVALUATIONS = {"euler": 1, "rk4": 4}  # of the derivative, each step


def check_solver(name: str, steps: int, choices: tuple[str, ...] = tuple(SOLVERS)) -> None:
    """Raise InputError unless this is a solver, and its number of steps at least 1."""
    if name not in choices:
        raise InputError(f"solver '{name}' not found{nearest(name, choices)} (solvers: {', '.join(choices)})")
    if steps < 1:
        raise InputError(f"a solver takes at least 1 step a frame, not {steps}")


class SolvedCell(DenseCell):
    """A dense cell that is a differential equation: what all of them take.

    Args:
        input_size: features I.
        units: neurons with a state.
        outputs: of a linear readout.
        solver: `euler`, `rk4` or `adaptive`.
        steps: of the solver within a frame.

    Raises InputError for an unknown solver or no steps.
    """

    def __init__(self, input_size: int, units: int, outputs: int, solver: str, steps: int) -> None:
        super().__init__()
        check_solver(solver, steps)
        self.input_size, self.state_size, self.output_size = input_size, units, outputs
        self.neurons, self.synapses = units + outputs, units * (input_size + units + outputs)
        self.solver, self.steps = solver, steps

    @property
    def evaluations(self) -> int:
        """Of the derivative, a frame."""
        return self.steps * EVALUATIONS.get(self.solver, 1)

    def solve(self, derivative: Derivative, state: Tensor, dt: Tensor) -> Tensor:
        """The state (B, S) after dt (B, 1)."""
        return SOLVERS[self.solver](derivative, state, dt, self.steps)
