"""The layers of a wired CfC over a whole sequence as one diagonal wavefront, with a hand-written backward.

At wave k layer l runs time step k - l. All it needs (its own state at k - l - 1, the layer before at k - l) was
computed by wave k - 1, so every wave is ONE product of all neurons' states with one block matrix, followed by
elementwise work on all neurons, instead of one such sequence per layer and step.

    wave k - 1 states          wave k
    inter   (k-1)  ──┬────────▶ inter   (k)      + input (k), whose products are hoisted out of the loop
    command (k-2)  ──┼─┬──────▶ command (k-1)
    motor   (k-3)  ────┴──────▶ motor   (k-2)

The first waves hold layers that have not begun at their first state; the last ones run layers past the end, whose
results nothing reads.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

FF1, FF2, TIME_A, TIME_B = range(4)
HEADS = 4


class CfcWavefront(torch.autograd.Function):
    """A CfC of mode `default` (see `cells/cfc.py` for its equation) over a sequence.

    `apply(x, state, dt, input_weight, state_weight, bias, layers)`:
        x: (B, T, I) inputs.
        state: (B, U) before the first step, neurons in running order.
        dt: (B, T) in nominal periods; no gradient.
        input_weight: (4, U, I), heads ff1, ff2, time_a, time_b; rows beyond the first layer must be zero.
        state_weight: (4, U, U), destination by source, non-zero only within a layer and from the one before.
        bias: (4, U).
        layers: neurons of each layer.

    Returns outputs (B, T, M) of the last layer and the state (B, U) after the last step.

    Weight gradients are given for all entries, also for those that are structurally zero: mask them outside.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        state: Tensor,
        dt: Tensor,
        input_weight: Tensor,
        state_weight: Tensor,
        bias: Tensor,
        layers: tuple[int, ...],
    ) -> tuple[Tensor, Tensor]:
        """Activations of all waves; see the class."""
        batch, steps, inputs = x.shape
        neurons = state.shape[1]
        waves = steps + len(layers) - 1
        x_by_time = x.transpose(0, 1).reshape(steps * batch, inputs)
        heads = x.new_empty(waves, batch, HEADS * neurons)
        torch.addmm(
            bias.view(-1),
            x_by_time,
            input_weight.view(-1, inputs).t(),
            out=heads[:steps].view(-1, HEADS * neurons),
        )
        heads[steps:] = bias.view(-1)
        elapsed = _waves_of(dt, layers)
        states = x.new_empty(waves + 1, batch, neurons)
        states[0] = state
        _run_waves(heads, states, elapsed, state_weight.view(-1, neurons).t().contiguous(), state, layers)
        ctx.save_for_backward(x_by_time, heads, states, elapsed, input_weight, state_weight)
        ctx.layers = layers  # type: ignore[attr-defined]
        outputs = states[waves - steps + 1 :, :, neurons - layers[-1] :].transpose(0, 1).contiguous()
        final = torch.cat([states[steps + n, :, part] for n, part in enumerate(_slices(layers))], dim=1)
        return outputs, final

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad_outputs: Tensor, grad_final: Tensor) -> tuple[Tensor | None, ...]:
        """One product and one elementwise operation a wave; all weight gradients in one product at the end."""
        x_by_time, heads, states, elapsed, input_weight, state_weight = ctx.saved_tensors  # type: ignore[attr-defined]
        layers: tuple[int, ...] = ctx.layers  # type: ignore[attr-defined]
        batch, steps = grad_outputs.shape[:2]
        waves, _, neurons = elapsed.shape
        inputs = input_weight.shape[2]
        grad_states = torch.zeros_like(states)
        grad_states[waves - steps + 1 :, :, neurons - layers[-1] :] = grad_outputs.transpose(0, 1)
        for number, part in enumerate(_slices(layers)):
            grad_states[steps + number, :, part] += grad_final[:, part]
        grad_heads = _local_derivatives(heads, elapsed, layers)
        recurrent = state_weight.view(-1, neurons)
        columns = zip(
            grad_heads.unbind(0), grad_heads.view(waves, batch, -1).unbind(0),
            grad_states[1:].unsqueeze(2).unbind(0), grad_states[:-1].unbind(0), strict=True,
        )  # fmt: skip
        for grad_head, flat, grad_state, grad_before in reversed(list(columns)):
            grad_head.mul_(grad_state)
            grad_before.addmm_(flat, recurrent)
        flat_heads = grad_heads.view(waves * batch, -1)
        grad_state_weight = flat_heads.t() @ states[:-1].view(waves * batch, neurons)
        with_input = flat_heads[: steps * batch]
        grad_input_weight = with_input.t() @ x_by_time
        grad_x = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            grad_x = (with_input @ input_weight.view(-1, inputs)).view(steps, batch, inputs).transpose(0, 1)
        grad_start = torch.cat([grad_states[n, :, part] for n, part in enumerate(_slices(layers))], dim=1)
        return (
            grad_x,
            grad_start,
            None,
            grad_input_weight.view_as(input_weight),
            grad_state_weight.view_as(state_weight),
            flat_heads.sum(0).view(HEADS, neurons),
            None,
        )


def _slices(layers: tuple[int, ...]) -> Iterator[slice]:
    end = 0
    for size in layers:
        yield slice(end, end + size)
        end += size


def _waves_of(dt: Tensor, layers: tuple[int, ...]) -> Tensor:
    """The dt (B, T) that each neuron meets at each wave: (waves, B, U); any finite value where it is idle."""
    batch, steps = dt.shape
    elapsed = dt.new_ones(steps + len(layers) - 1, batch, sum(layers))
    for number, part in enumerate(_slices(layers)):
        elapsed[number : number + steps, :, part] = dt.t().unsqueeze(2)
    return elapsed


def _run_waves(
    heads: Tensor, states: Tensor, elapsed: Tensor, weight: Tensor, state: Tensor, layers: tuple[int, ...]
) -> None:
    """Fills `states` and turns `heads` from input products into activations, in place."""
    waves, batch, neurons = elapsed.shape
    by_head = heads.view(waves, batch, HEADS, neurons)
    columns = zip(
        heads.unbind(0), heads[:, :, : 2 * neurons].unbind(0), *by_head.unbind(2), elapsed.unbind(0),
        states[:-1].unbind(0), states[1:].unbind(0), strict=False,
    )  # fmt: skip
    starts = [part.start for part in _slices(layers)][1:]
    for wave, (every, forward, ff1, ff2, time_a, gate, dt, before, after) in enumerate(columns):
        every.addmm_(before, weight)
        forward.tanh_()
        gate.addcmul_(time_a, dt).sigmoid_()
        torch.lerp(ff1, ff2, gate, out=after)
        if wave < len(starts):
            after[:, starts[wave] :] = state[:, starts[wave] :]


def _local_derivatives(heads: Tensor, elapsed: Tensor, layers: tuple[int, ...]) -> Tensor:
    """d state / d pre-activation of every head at every wave: (waves, B, 4, U)."""
    waves, batch, neurons = elapsed.shape
    ff1, ff2, _, gate = heads.view(waves, batch, HEADS, neurons).unbind(2)
    local = torch.empty_like(heads).view(waves, batch, HEADS, neurons)
    torch.ops.aten.tanh_backward.grad_input(1.0 - gate, ff1, grad_input=local[:, :, FF1])
    torch.ops.aten.tanh_backward.grad_input(gate, ff2, grad_input=local[:, :, FF2])
    torch.ops.aten.sigmoid_backward.grad_input(ff2 - ff1, gate, grad_input=local[:, :, TIME_B])
    torch.mul(local[:, :, TIME_B], elapsed, out=local[:, :, TIME_A])
    starts = [part.start for part in _slices(layers)][1:]
    for wave, start in enumerate(starts):
        local[wave, :, :, start:] = 0.0
    return local
