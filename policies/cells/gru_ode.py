"""GRU-ODE (De Brouwer et al. 2019, "GRU-ODE-Bayes: continuous modeling of sporadically-observed time
series").

A GRU taken as the difference equation of a flow; equation 3 with the inputs of its appendix held in a frame:

    dh/dt = (1 - z) * (g - h),   r, z = sigmoid(W [x, h] + b),   g = tanh(W_g x + b_g + U_g (r * h))

The state stays in (-1, 1), and its change is at most of rate 1: time in nominal frame periods suits it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from navstack.policies.cells.solvers import SolvedCell


class GruOdeCore(SolvedCell):
    """A GRU-ODE and a linear readout; the state is h.

    Args:
        input_size: features I.
        units: neurons with a state.
        outputs: of the readout.
        solver: `euler`, `rk4` or `adaptive`.
        steps: of the solver within a frame: 4 Euler steps are stable up to a dt of 8 periods.

    Raises InputError for an unknown solver or no steps.
    """

    def __init__(
        self, input_size: int, units: int, outputs: int, solver: str = "euler", steps: int = 4
    ) -> None:
        super().__init__(input_size, units, outputs, solver, steps)
        self.sensory = nn.Linear(input_size, 3 * units)
        self.gates = nn.Linear(units, 2 * units, bias=False)
        self.candidate = nn.Linear(units, units, bias=False)
        self.readout = nn.Linear(units, outputs)

    def multiply_adds(self) -> int:
        """Sensory products once; at each evaluation the recurrent ones and four elementwise products."""
        units = self.state_size
        return units * (3 * self.input_size + self.output_size) + self.evaluations * units * (3 * units + 4)

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        heard = self.sensory(x)
        units = self.state_size

        def derivative(h: Tensor) -> Tensor:
            reset, update = torch.sigmoid(heard[:, : 2 * units] + self.gates(h)).chunk(2, dim=1)
            wanted = torch.tanh(heard[:, 2 * units :] + self.candidate(reset * h))
            return (1.0 - update) * (wanted - h)

        state = self.solve(derivative, state, dt)
        return self.readout(state), state
