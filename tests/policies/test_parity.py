"""The wired CfC against its reference implementation, ncps 1.0.1, with the same wiring and weights."""

import numpy as np
import pytest
import torch
from ncps.torch import CfC
from ncps.wirings import AutoNCP
from torch.testing import assert_close

from navstack.policies.cells.cfc import MODES, WiredCfC
from navstack.policies.wiring import auto_ncp

INPUTS, UNITS, MOTORS, SEED = 12, 30, 4, 5
EXACT = {"rtol": 1e-9, "atol": 1e-12}


def ncps_order(wiring):
    """Ids of ncps's neurons in the order in which its layers run, which is that of both states."""
    return [neuron for layer in range(wiring.num_layers) for neuron in wiring.get_neurons_of_layer(layer)]


def ncps_dense(cells, cell, read):
    """ncps's matrices (or their gradients) in the places of ours: (4, S, I + S)."""
    dense = torch.zeros(cell.masks.shape, dtype=torch.float64)
    previous = slice(0, cell.input_size)
    for layer, part in zip(cells, cell.wiring.layer_slices(), strict=True):
        own = slice(cell.input_size + part.start, cell.input_size + part.stop)
        width = previous.stop - previous.start
        for head, name in enumerate(MODES["default"]):
            matrix = read(getattr(layer, name).weight)
            dense[head, part, previous], dense[head, part, own] = matrix[:, :width], matrix[:, width:]
        previous = own
    return dense


@pytest.fixture
def pair():
    """Ours and theirs, in float64, with equal weights."""
    torch.manual_seed(0)
    theirs = CfC(INPUTS, AutoNCP(UNITS, MOTORS, seed=SEED), mode="default").double()
    cell = WiredCfC(INPUTS, auto_ncp(INPUTS, UNITS, MOTORS, seed=SEED), "default", "ncps").double()
    cells = theirs.rnn_cell._layers
    with torch.no_grad():
        dense = ncps_dense(cells, cell, lambda weight: weight.detach())
        cell.weight.copy_(dense.flatten()[cell.positions])
        for head, name in enumerate(MODES["default"]):
            cell.bias[head] = torch.cat([getattr(layer, name).bias for layer in cells])
    return cell, theirs


def assert_same_gradients(cell, theirs):
    cells = theirs.rnn_cell._layers
    wanted = ncps_dense(cells, cell, lambda weight: weight.grad).flatten()[cell.positions]
    assert_close(cell.weight.grad, wanted, **EXACT)
    for head, name in enumerate(MODES["default"]):
        wanted = torch.cat([getattr(layer, name).bias.grad for layer in cells])
        assert_close(cell.bias.grad[head], wanted, **EXACT)


@pytest.mark.parametrize("units", [10, 30, 64, 131])
def test_the_wiring_has_the_synapses_of_ncps(units):
    theirs = AutoNCP(units, MOTORS, seed=SEED)
    theirs.build(INPUTS)
    ours, order = auto_ncp(INPUTS, units, MOTORS, seed=SEED), ncps_order(theirs)
    assert np.array_equal(ours.sensory, theirs.sensory_adjacency_matrix[:, order])
    assert np.array_equal(ours.internal, theirs.adjacency_matrix[np.ix_(order, order)])
    assert (
        ours.synapses == np.abs(theirs.adjacency_matrix).sum() + np.abs(theirs.sensory_adjacency_matrix).sum()
    )


def test_batched_with_constant_dt(pair):
    cell, theirs = pair
    x = torch.randn(5, 9, INPUTS, dtype=torch.float64)
    state = torch.randn(5, UNITS, dtype=torch.float64)
    want, want_state = theirs(x, state)  # its dt is 1; a batch of timespans raises in ncps 1.0.1
    have, have_state = cell.sequence(x, state, torch.ones(5, 9, dtype=torch.float64))
    assert_close(have, want, **EXACT)
    assert_close(have_state, want_state, **EXACT)
    weight = torch.randn_like(want)
    (want * weight).sum().backward()
    (have * weight).sum().backward()
    assert_same_gradients(cell, theirs)


def test_alone_with_variable_dt(pair):
    cell, theirs = pair
    x, state = torch.randn(1, 11, INPUTS, dtype=torch.float64), torch.randn(1, UNITS, dtype=torch.float64)
    dt = torch.rand(1, 11, dtype=torch.float64) * 3.0
    want, want_state = theirs(x, state, timespans=dt)
    have, have_state = cell.sequence(x, state, dt)
    assert_close(have, want, **EXACT)
    assert_close(have_state, want_state, **EXACT)
    (want.square().sum() + want_state.sum()).backward()
    (have.square().sum() + have_state.sum()).backward()
    assert_same_gradients(cell, theirs)


def test_batched_with_variable_dt_is_each_alone(pair):
    """ncps itself cannot: it is run once for each sequence."""
    cell, theirs = pair
    x, state = torch.randn(4, 7, INPUTS, dtype=torch.float64), torch.randn(4, UNITS, dtype=torch.float64)
    dt = torch.rand(4, 7, dtype=torch.float64) * 3.0
    have, have_state = cell.sequence(x, state, dt)
    for k in range(4):
        want, want_state = theirs(x[k : k + 1], state[k : k + 1], timespans=dt[k : k + 1])
        assert_close(have[k : k + 1], want, **EXACT)
        assert_close(have_state[k : k + 1], want_state, **EXACT)


@pytest.mark.parametrize("connectivity", ["ncps", "strict"])
def test_the_fast_sequence_is_step_after_step(connectivity):
    torch.manual_seed(1)
    cell = WiredCfC(INPUTS, auto_ncp(INPUTS, UNITS, MOTORS), "default", connectivity).double()
    x = torch.randn(3, 8, INPUTS, dtype=torch.float64, requires_grad=True)
    start = torch.randn(3, UNITS, dtype=torch.float64, requires_grad=True)
    dt, outputs, state = torch.rand(3, 8, dtype=torch.float64) * 2.0, [], start
    for k in range(8):
        output, state = cell.step(x[:, k], state, dt[:, k : k + 1])
        outputs.append(output)
    slow = torch.stack(outputs, dim=1)
    wanted = torch.autograd.grad(slow.sin().sum() + state.sum(), [x, start, cell.weight, cell.bias])
    fast, last = cell.sequence(x, start, dt)
    found = torch.autograd.grad(fast.sin().sum() + last.sum(), [x, start, cell.weight, cell.bias])
    assert_close(fast, slow, **EXACT)
    assert_close(last, state, **EXACT)
    for have, want in zip(found, wanted, strict=True):
        assert_close(have, want, **EXACT)


def test_strict_follows_the_wiring_in_every_head():
    wiring = auto_ncp(INPUTS, UNITS, MOTORS)
    masks = WiredCfC(INPUTS, wiring, "default", "strict").masks
    wired = np.concatenate([wiring.sensory, wiring.internal]).T != 0
    own = np.concatenate([np.zeros((UNITS, INPUTS), bool), np.eye(UNITS, dtype=bool)], axis=1)
    for head in masks:
        assert np.array_equal(head, wired | own)
