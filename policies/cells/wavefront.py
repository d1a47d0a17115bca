"""The layers of a wired CfC over a whole sequence as one diagonal wavefront, with a hand-written backward.

At wave k layer l runs time step k - l. All it needs (its own state at k - l - 1, the layer before at k - l)
was computed by wave k - 1, so every wave is ONE product of a block matrix with all neurons' states, followed
by elementwise work on all neurons, instead of one such sequence per layer and step.

    wave k - 1 states          wave k
    inter   (k-1)  ──┬────────▶ inter   (k)      + input (k), whose products are hoisted out of the loop
    command (k-2)  ──┼─┬──────▶ command (k-1)
    motor   (k-3)  ──┴─┴──────▶ motor   (k-2)

The first waves hold layers that have not begun at their first state; the last ones run layers past the end,
whose results nothing reads. Inside, the batch is the last dimension (features, batch): each head is then one
contiguous block, which elementwise kernels take without a loop over rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

FF1, FF2, TIME_A, TIME_B = range(4)
HEADS = 4


class CfcWavefront(torch.autograd.Function):
    """A CfC (see `cells/cfc.py` for the equations of its modes) over a sequence.

    `apply(x, state, dt, input_weight, state_weight, bias, pure, layers, lengths, mode)`:
        x: (B, T, I) inputs.
        state: (B, U) before the first step, neurons in running order.
        dt: (B, T) in nominal periods; no gradient.
        input_weight: (heads, N, I) into the N neurons of the first layer; heads ff1, ff2, time_a, time_b,
            or ff1 alone in mode `pure`.
        state_weight: (heads, U, U), destination by source, non-zero only within a layer and from the one
            before.
        bias: (heads, U).
        pure: (2, U) amplitude and rate, at least 0, of mode `pure`; None in the others.
        layers: neurons of each layer.
        lengths: (B,) steps of each sequence; None for all T.
        mode: `default`, `no_gate` or `pure`.

    Returns outputs (B, T, M) of the last layer and the state (B, U) after each sequence's last step.

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
        pure: Tensor | None,
        layers: tuple[int, ...],
        lengths: Tensor | None,
        mode: str,
    ) -> tuple[Tensor, Tensor]:
        """Runs all waves; see the class."""
        batch, steps, _ = x.shape
        waves, neurons = steps + len(layers) - 1, sum(layers)
        x_by_time = x.transpose(0, 1).reshape(steps * batch, -1)
        heads = _input_products(x_by_time, input_weight, bias, (waves, batch))
        elapsed = _waves_of(dt, layers)
        states = x.new_empty(waves + 1, neurons, batch)
        states[0] = state.t()
        _run_waves(heads, states, elapsed, state_weight, layers, pure, mode)
        ctx.save_for_backward(x_by_time, heads, states, elapsed, input_weight, state_weight, pure, lengths)  # type: ignore[arg-type]
        ctx.layers, ctx.mode = layers, mode  # type: ignore[attr-defined]
        outputs = states[waves - steps + 1 :, neurons - layers[-1] :].permute(2, 0, 1).contiguous()
        return outputs, _final(states, steps, layers, lengths)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad_outputs: Tensor, grad_final: Tensor) -> tuple[Tensor | None, ...]:
        """One product and elementwise work a wave; all weight gradients in one product at the end."""
        x_by_time, heads, states, elapsed, input_weight, state_weight, pure, lengths = ctx.saved_tensors  # type: ignore[attr-defined]
        layers: tuple[int, ...] = ctx.layers  # type: ignore[attr-defined]
        batch, steps = grad_outputs.shape[:2]
        waves, neurons, _ = elapsed.shape
        parts = _slices(layers)
        grad_states = torch.zeros_like(states)
        grad_states[waves - steps + 1 :, parts[-1]] = grad_outputs.permute(1, 2, 0)
        for number, part in enumerate(parts):
            if lengths is None:
                grad_states[steps + number, part] += grad_final[:, part].t()
            else:
                grad_states[lengths + number, part, torch.arange(batch)] += grad_final[:, part]
        grad_heads, grad_pure = _local_derivatives(heads, elapsed, layers, pure, ctx.mode)  # type: ignore[attr-defined]
        _run_waves_back(grad_heads, grad_states, state_weight)
        if grad_pure is not None:
            grad_pure = (grad_pure * grad_states[1:]).sum((1, 3))
        rows = grad_heads.view(waves, -1, batch).transpose(0, 1).reshape(-1, waves * batch)
        states_by_row = states[:-1].transpose(0, 1).reshape(neurons, waves * batch)
        input_rows = rows.view(-1, neurons, waves * batch)[:, parts[0], : steps * batch].flatten(0, 1)
        grad_x = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            grad_x = (input_rows.t() @ input_weight.flatten(0, 1)).view(steps, batch, -1).transpose(0, 1)
        grad_start = torch.cat([grad_states[n, part] for n, part in enumerate(parts)])
        return (
            grad_x,
            grad_start.t(),
            None,
            (input_rows @ x_by_time).view_as(input_weight),
            (rows @ states_by_row.t()).view_as(state_weight),
            rows.sum(1).view(-1, neurons),
            grad_pure,
            None,
            None,
            None,
        )


def _slices(layers: tuple[int, ...]) -> list[slice]:
    return [slice(end - size, end) for end, size in zip(accumulate(layers), layers, strict=True)]


def _input_products(x_by_time: Tensor, weight: Tensor, bias: Tensor, shape: tuple[int, int]) -> Tensor:
    """Biases of all heads, and what the inputs add to the first layer's: (waves, heads, U, B)."""
    waves, batch = shape
    (count, neurons), first = bias.shape, weight.shape[1]
    heads = x_by_time.new_empty(waves, count, neurons, batch)
    heads.copy_(bias.unsqueeze(2))
    products = (weight.flatten(0, 1) @ x_by_time.t()).view(count, first, -1, batch)
    heads[: products.shape[2], :, :first] += products.permute(2, 0, 1, 3)
    return heads


def _waves_of(dt: Tensor, layers: tuple[int, ...]) -> Tensor:
    """The dt (B, T) that each neuron meets at each wave: (waves, U, B); one where it is idle."""
    batch, steps = dt.shape
    elapsed = dt.new_ones(steps + len(layers) - 1, sum(layers), batch)
    for number, part in enumerate(_slices(layers)):
        elapsed[number : number + steps, part] = dt.t().unsqueeze(1)
    return elapsed


def _final(states: Tensor, steps: int, layers: tuple[int, ...], lengths: Tensor | None) -> Tensor:
    """The state (B, U) after each sequence's last step."""
    parts = enumerate(_slices(layers))
    if lengths is None:
        return torch.cat([states[steps + n, part] for n, part in parts]).t().contiguous()
    batch = torch.arange(states.shape[2])
    return torch.cat([states[lengths + n, part, batch] for n, part in parts], dim=1)


def _run_waves(
    heads: Tensor,
    states: Tensor,
    elapsed: Tensor,
    weight: Tensor,
    layers: tuple[int, ...],
    pure: Tensor | None,
    mode: str,
) -> None:
    """Fills `states` from its first and turns `heads` from input products into activations, in place."""
    every = heads.flatten(1, 2).unbind(0)
    before, after = states[:-1].unbind(0), states[1:].unbind(0)
    activate = _activation(heads, after, elapsed, pure, mode)
    matrix = weight.flatten(0, 1)
    idle = [part.start for part in _slices(layers)][1:]
    for wave in range(len(every)):
        every[wave].addmm_(matrix, before[wave])
        activate(wave)
        if wave < len(idle):
            after[wave][idle[wave] :] = states[0, idle[wave] :]


def _activation(
    heads: Tensor, after: Sequence[Tensor], elapsed: Tensor, pure: Tensor | None, mode: str
) -> Callable[[int], None]:
    """What a wave does with its products: activations in place (not in mode `pure`), and its new state."""
    dt = elapsed.unbind(0)
    if pure is not None:
        amplitude, rate = (part[:, None].expand_as(elapsed[0]) for part in pure)
        product, decay = heads[:, 0].unbind(0), torch.empty_like(elapsed[0])

        def solution(wave: int) -> None:
            torch.abs(product[wave], out=decay).add_(rate).mul_(dt[wave]).neg_().exp_().mul_(product[wave])
            torch.addcmul(amplitude, amplitude, decay, value=-1.0, out=after[wave])

        return solution
    forward, (ff1, ff2, time_a, gate) = heads[:, :2].unbind(0), (part.unbind(0) for part in heads.unbind(1))

    def gated(wave: int) -> None:
        forward[wave].tanh_()
        gate[wave].addcmul_(time_a[wave], dt[wave]).sigmoid_()
        if mode == "no_gate":
            torch.addcmul(ff1[wave], ff2[wave], gate[wave], out=after[wave])
        else:
            torch.lerp(ff1[wave], ff2[wave], gate[wave], out=after[wave])

    return gated


def _local_derivatives(
    heads: Tensor, elapsed: Tensor, layers: tuple[int, ...], pure: Tensor | None, mode: str
) -> tuple[Tensor, Tensor | None]:
    """d state / d pre-activation of every head at every wave (waves, heads, U, B), zero where idle.

    In mode `pure` also d state / d (amplitude, rate): (2, waves, U, B).
    """
    local, own = torch.empty_like(heads), None
    if pure is not None:
        own = _pure_derivatives(heads, elapsed, pure, local)
    else:
        ff1, ff2, _, gate = heads.unbind(1)
        alone = mode == "no_gate"  # the derivative by ff1 does not see the gate, nor that by the gate ff1
        through = torch.ones_like(gate) if alone else 1.0 - gate
        torch.ops.aten.tanh_backward.grad_input(through, ff1, grad_input=local[:, FF1])
        torch.ops.aten.tanh_backward.grad_input(gate, ff2, grad_input=local[:, FF2])
        apart = ff2 if alone else ff2 - ff1
        torch.ops.aten.sigmoid_backward.grad_input(apart, gate, grad_input=local[:, TIME_B])
        torch.mul(local[:, TIME_B], elapsed, out=local[:, TIME_A])
    for wave, part in enumerate(_slices(layers)[1:]):
        local[wave, :, part.start :] = 0.0
        if own is not None:
            own[:, wave, part.start :] = 0.0
    return local, own


def _pure_derivatives(heads: Tensor, elapsed: Tensor, pure: Tensor, local: Tensor) -> Tensor:
    """Of state = A - A exp(-dt (rate + |f|)) f: by f into `local`, by A and rate as (2, waves, U, B)."""
    amplitude, rate = (part[:, None] for part in pure)
    product = heads[:, 0]
    decay = torch.exp(-elapsed * (rate + product.abs()))
    torch.mul(-amplitude * decay, 1.0 - elapsed * product.abs(), out=local[:, 0])
    return torch.stack([1.0 - decay * product, amplitude * elapsed * decay * product])


def _run_waves_back(grad_heads: Tensor, grad_states: Tensor, weight: Tensor) -> None:
    """Turns local derivatives into gradients, in place, last wave first."""
    matrix = weight.flatten(0, 1).t().contiguous()
    grad_head, flat = grad_heads.unbind(0), grad_heads.flatten(1, 2).unbind(0)
    grad_after, grad_before = grad_states[1:].unbind(0), grad_states[:-1].unbind(0)
    for wave in reversed(range(len(flat))):
        grad_head[wave].mul_(grad_after[wave])
        grad_before[wave].addmm_(matrix, flat[wave])
