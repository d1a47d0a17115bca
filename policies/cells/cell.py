"""What every recurrent core is: one protocol, with time as an argument, so that all of them can be compared.

Time is counted in nominal frame periods (50 ms at 20 Hz), for every cell: `dt` = 1 is the regular case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from navstack.errors import InputError

COMMAND_SIZE = 4  # motor neurons of a policy: forward, left, up, yaw_rate
PRESET_PARAMETERS = 20_000  # the middle of the 18,000 to 22,000 that a policy's core may have
PRESET_TOLERANCE = 2_000

Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class Core(Protocol):
    """A recurrent cell with time as an input. Any `nn.Module` with these members is one."""

    @property
    def input_size(self) -> int:
        """Number I of features."""
        ...

    @property
    def state_size(self) -> int:
        """Size S of the state, at least 1."""
        ...

    @property
    def output_size(self) -> int:
        """Number M of outputs."""
        ...

    @property
    def connectivity(self) -> str:
        """`strict` or `ncps`, or `dense` where no wiring is followed."""
        ...

    @property
    def neurons(self) -> int:
        """Units that have a state or an activity, a readout's included."""
        ...

    @property
    def synapses(self) -> int:
        """Pairs of a source (an input or a neuron) and a neuron with at least one weight."""
        ...

    def effective_parameters(self) -> int:
        """Weights that exist (whose mask is not zero), and biases."""
        ...

    def raw_parameters(self) -> int:
        """The same with masked entries counted."""
        ...

    def multiply_adds(self) -> int:
        """Multiply-adds of one step: products with weights that exist. Nonlinearities are not counted."""
        ...

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first frame: (batch, S) zeros."""
        ...

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame: x (B, I), state (B, S), dt (B, 1) in nominal periods to output (B, M) and next state."""
        ...

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Many frames.

        Args:
            x: (B, T, I) features.
            state: (B, S) before the first frame.
            dt: (B, T) nominal periods before each frame, each sequence with times of its own.
            lengths: (B,) frames of each sequence, 1 to T; all T without it.

        Returns:
            Outputs (B, T, M), zero after a sequence's end, and each sequence's state (B, S) at its own end.
        """
        ...


class DenseCell(nn.Module):
    """A cell all of whose parameters are effective; concrete ones give sizes, `step` and `multiply_adds`.

    It holds no state of its own: only what is the same for all of them.
    """

    input_size: int
    state_size: int
    output_size: int
    neurons: int
    synapses: int
    connectivity = "dense"

    def effective_parameters(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())

    def raw_parameters(self) -> int:
        """The same: nothing is masked."""
        return self.effective_parameters()

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first frame: (batch, S) zeros."""
        return next(self.parameters()).new_zeros(batch, self.state_size)

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        raise NotImplementedError

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Many frames, one `step` after another; see `Core.sequence`."""
        return run_steps(self.step, x, state, dt, lengths)


def run_steps(
    step: Step, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`Core.sequence` by a loop over `step`."""
    check_lengths(lengths, x)
    outputs = []
    for number, (frame, elapsed) in enumerate(zip(x.unbind(1), dt.unsqueeze(-1).unbind(1), strict=True)):
        output, after = step(frame, state, elapsed)
        state = after if lengths is None else torch.where((number < lengths)[:, None], after, state)
        outputs.append(output)
    return ended(torch.stack(outputs, dim=1), lengths), state


def check_lengths(lengths: Tensor | None, x: Tensor) -> None:
    """Raise InputError unless there is one length from 1 to T for each sequence of x (B, T, ...)."""
    if lengths is None:
        return
    batch, steps = x.shape[:2]
    if lengths.shape != (batch,) or lengths.is_floating_point():
        raise InputError(
            f"lengths must be {batch} whole numbers, not {tuple(lengths.shape)} of {lengths.dtype}"
        )
    shortest, longest = (int(length) for length in lengths.aminmax())
    if shortest < 1 or longest > steps:
        raise InputError(f"lengths go from {shortest} to {longest}; they must be from 1 to {steps}")


def ended(outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Outputs (B, T, M), zero after each sequence's end."""
    if lengths is None:
        return outputs
    return outputs * still_running(lengths, outputs.shape[1])[..., None]


def still_running(lengths: Tensor, steps: int) -> Tensor:
    """(B, T) bool: whether each sequence has this frame."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def at_the_end(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Of states (B, T, S) after each frame the one (B, S) after each sequence's last."""
    if lengths is None:
        return states[:, -1]
    return states[torch.arange(len(lengths), device=states.device), lengths - 1]


def with_time(x: Tensor, dt: Tensor) -> Tensor:
    """Features (..., I) and, as one more, how much longer than the nominal period dt (..., 1) is.

    This is how a network without time of its own is told about it: otherwise irregular frames would handicap
    it by construction (as in the comparisons of Rubanova et al. 2019, section 5, "RNN delta-t").
    """
    return torch.cat([x, dt - 1.0], dim=-1)


def largest_units(build: Callable[[int], nn.Module], least: int = 1, most: int = 1024) -> int:
    """The most units with which `build(units)` has at most PRESET_PARAMETERS parameters."""
    few, many = least, most
    with torch.device("meta"):  # counting needs no memory, and leaves torch's random numbers alone
        while few < many:
            units = (few + many + 1) // 2
            if sum(p.numel() for p in build(units).parameters()) <= PRESET_PARAMETERS:
                few = units
            else:
                many = units - 1
    return few


def check_size(core: Core, parameters: int = PRESET_PARAMETERS, tolerance: int = PRESET_TOLERANCE) -> None:
    """Raise InputError unless the core has about as many effective parameters as were asked for."""
    found = core.effective_parameters()
    if abs(found - parameters) > tolerance:
        raise InputError(
            f"the core has {found:,} effective parameters with {core.input_size} inputs; it must have"
            f" {parameters - tolerance:,} to {parameters + tolerance:,}"
        )
