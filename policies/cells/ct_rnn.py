"""The continuous-time recurrent network (Funahashi & Nakamura 1993, "Approximation of dynamical systems by
continuous time recurrent neural networks", equation 1.1, with inputs):

    tau dh/dt = -h + tanh(W [x, h] + b)

with one trained time constant a neuron, in nominal frame periods. The time constant divides the drive too, so
the state stays within (-1, 1) and slow neurons do not make the network chaotic.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from navstack.policies.cells.solvers import SolvedCell

SHORTEST = 1.0  # frame periods: the shortest time constant; 6 Euler steps stay stable up to a dt of 12


class CtRnnCore(SolvedCell):
    """A CT-RNN and a linear readout; the state is h.

    Args:
        input_size: features I.
        units: neurons with a state.
        outputs: of the readout.
        solver: `euler`, `rk4` or `adaptive`.
        steps: of the solver within a frame.

    Raises InputError for an unknown solver or no steps.
    """

    def __init__(
        self, input_size: int, units: int, outputs: int, solver: str = "euler", steps: int = 6
    ) -> None:
        super().__init__(input_size, units, outputs, solver, steps)
        self.sensory = nn.Linear(input_size, units)
        self.recurrent = nn.Linear(units, units, bias=False)
        # 1 + softplus: from about 1.3 to 21 periods (1 s at 20 Hz), evenly
        self.tau = nn.Parameter(torch.linspace(-1.0, 20.0, units))
        self.readout = nn.Linear(units, outputs)

    def multiply_adds(self) -> int:
        """Sensory products once; at each evaluation the recurrent ones, the leak and the step."""
        units = self.state_size
        return units * (self.input_size + self.output_size) + self.evaluations * units * (units + 2)

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        heard, rate = self.sensory(x), 1.0 / (SHORTEST + nn.functional.softplus(self.tau))

        def derivative(h: Tensor) -> Tensor:
            return (torch.tanh(heard + self.recurrent(h)) - h) * rate

        state = self.solve(derivative, state, dt)
        return self.readout(state), state
