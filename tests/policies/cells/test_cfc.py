"""The wired CfC: its hand-written backward, its masks, and the cell alone in ONNX Runtime."""

import io

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.errors import InputError
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cells.connectivity import CONNECTIVITIES
from navstack.policies.cores import cfc_preset
from navstack.policies.wiring import auto_ncp

INPUTS, MOTORS = 6, 2


def cell(connectivity="strict", units=12, seed=3):
    torch.manual_seed(0)
    return WiredCfC(INPUTS, auto_ncp(INPUTS, units, MOTORS, seed=seed), "default", connectivity)


def sample(net, batch, length, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, length, INPUTS, generator=generator, dtype=dtype)
    state = torch.randn(batch, net.state_size, generator=generator, dtype=dtype)
    return x, state, torch.rand(batch, length, generator=generator, dtype=dtype) * 3.0


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_the_written_backward_is_the_derivative(connectivity):
    """Central differences in float64 of outputs and last state, by inputs, first state and parameters."""
    net = cell(connectivity).double()
    x, state, dt = sample(net, 2, 4, torch.float64)
    x.requires_grad_()
    state.requires_grad_()

    def run(x, state, weight, bias):
        return torch.func.functional_call(net, {"weight": weight, "bias": bias}, (x, state, dt))

    net.forward = net.sequence
    weight = net.weight.detach().clone().requires_grad_()
    bias = net.bias.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(run, (x, state, weight, bias), eps=1e-6, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@given(batch=st.integers(1, 4), length=st.integers(1, 9), units=st.integers(7, 30), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_sequence_is_its_steps_for_any_shape(connectivity, batch, length, units, seed):
    net = cell(connectivity, units, seed).double()
    x, state, dt = sample(net, batch, length, torch.float64, seed)
    outputs, last = net.sequence(x, state, dt)
    for t in range(length):
        output, state = net.step(x[:, t], state, dt[:, t : t + 1])
        torch.testing.assert_close(outputs[:, t], output, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(last, state, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_the_cell_alone_is_the_same_in_onnx_runtime_for_a_thousand_steps(connectivity):
    net = cfc_preset(INPUTS, connectivity)
    folded = net.folded().eval()
    x, state, dt = torch.zeros(1, INPUTS), net.initial_state(1), torch.ones(1, 1)
    program = torch.onnx.export(folded, (x, state, dt), dynamo=True, verbose=False, external_data=False,
                                input_names=["x", "state", "dt"], output_names=["y", "next"])  # fmt: skip
    buffer = io.BytesIO()
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    rng, theirs = np.random.default_rng(0), state.numpy().copy()
    worst = 0.0
    with torch.no_grad():
        for _ in range(1000):
            x = rng.normal(size=(1, INPUTS)).astype(np.float32)
            dt = rng.uniform(0.3, 6.0, (1, 1)).astype(np.float32)
            y, state = folded.step(torch.from_numpy(x), state, torch.from_numpy(dt))
            answer, theirs = session.run(None, {"x": x, "state": theirs, "dt": dt})
            worst = max(worst, np.abs(answer - y.numpy()).max(), np.abs(theirs - state.numpy()).max())
    assert worst < 1e-5
    assert np.abs(theirs).max() > 0.01  # the state did live


def test_strict_hears_its_synapses_and_itself_and_nothing_else():
    net = cell("strict")
    wired = np.concatenate([net.wiring.sensory, net.wiring.internal]).T != 0
    itself = np.eye(net.wiring.neurons, dtype=bool)
    for head in net.masks:
        assert (head[:, :INPUTS] == wired[:, :INPUTS]).all()
        assert (head[:, INPUTS:] == wired[:, INPUTS:] | itself).all()


def test_what_is_masked_has_no_influence():
    net = cell("strict")
    dense = net.dense_weights()
    assert ((dense != 0).numpy() <= net.masks).all()
    assert net.effective_parameters() == net.masks.sum() + 4 * net.wiring.neurons


def test_a_gradient_for_the_time_is_refused():
    net = cell()
    x, state, dt = sample(net, 1, 2)
    with pytest.raises(InputError, match="no gradient for dt"):
        net.sequence(x, state, dt.requires_grad_())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((INPUTS, "strikt", "default"), "did you mean 'strict'"),
        ((INPUTS, "strict", "pur"), "did you mean 'pure'"),
        ((INPUTS + 1, "strict", "default"), "has 6 inputs, but the cell gets 7"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    inputs, connectivity, mode = arguments
    with pytest.raises(InputError, match=message):
        WiredCfC(inputs, auto_ncp(INPUTS, 12, MOTORS), mode, connectivity)
