"""ODE-RNN (Rubanova et al. 2019, "Latent ODEs for irregularly-sampled time series", algorithm 1):

    h' = ODESolve(f, h, dt),   h = GRU(x, h'),   f(h) = W_2 tanh(W_1 h + b_1) + b_2

Between frames the state flows by itself; a frame makes it jump.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from navstack.policies.cells.gru import gru_update
from navstack.policies.cells.solvers import SolvedCell

FLOW = 0.1  # scale of the flow's first weights: at the start a state of unit size keeps for about ten frames


class OdeRnnCore(SolvedCell):
    """An ODE-RNN and a linear readout; the state is h.

    Args:
        input_size: features I.
        units: neurons with a state, and hidden neurons of the flow f.
        outputs: of the readout.
        solver: `euler`, `rk4` or `adaptive`.
        steps: of the solver within a frame.

    Raises InputError for an unknown solver or no steps.
    """

    def __init__(
        self, input_size: int, units: int, outputs: int, solver: str = "euler", steps: int = 4
    ) -> None:
        super().__init__(input_size, units, outputs, solver, steps)
        self.neurons += units  # the hidden ones of the flow
        self.synapses += 2 * units * units
        self.flow_in, self.flow_out = nn.Linear(units, units), nn.Linear(units, units)
        self.sensory, self.recurrent = nn.Linear(input_size, 3 * units), nn.Linear(units, 3 * units)
        self.readout = nn.Linear(units, outputs)
        with torch.no_grad():
            for parameter in self.flow_out.parameters():
                parameter.mul_(FLOW)

    def multiply_adds(self) -> int:
        """The flow's products at each evaluation, then the GRU's and the readout's."""
        units = self.state_size
        jump = 3 * units * (self.input_size + units + 1) + units * self.output_size
        return self.evaluations * units * (2 * units + 1) + jump

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""

        def flow(h: Tensor) -> Tensor:
            return self.flow_out(torch.tanh(self.flow_in(h)))

        state = self.solve(flow, state, dt)
        state = gru_update(self.sensory(x), self.recurrent(state), state)
        return self.readout(state), state
