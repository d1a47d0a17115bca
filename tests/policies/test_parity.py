"""CfC, LTC and mixed memory against their reference implementation, ncps 1.0.1: same wiring and weights."""

import numpy as np
import pytest
import torch
from ncps.torch import LTC, CfC
from ncps.wirings import AutoNCP, FullyConnected
from torch.testing import assert_close

from navstack.policies.cells.cfc import MODES, WiredCfC
from navstack.policies.cells.dense_cfc import DenseCfC
from navstack.policies.cells.ltc import LtcCore
from navstack.policies.cells.mixed_memory import MixedMemory
from navstack.policies.wiring import auto_ncp, fully_connected

INPUTS, UNITS, MOTORS, SEED = 12, 30, 4, 5
EXACT = {"rtol": 1e-9, "atol": 1e-12}
SINGLE = {"rtol": 1e-4, "atol": 1e-5}
KINDS = ("default", "no_gate", "pure", "dense", "dense-no_gate", "dense-pure", "ltc", "ltc-full")
MIXED = tuple(f"{kind}+memory" for kind in KINDS)


def ncps_order(wiring):
    """Ids of ncps's neurons in the order in which its layers run, which is that of both states."""
    return [neuron for layer in range(wiring.num_layers) for neuron in wiring.get_neurons_of_layer(layer)]


class Pair:
    """Ours and theirs with equal weights, and where each of our parameters stands in theirs.

    `theirs_of` reads a tensor of theirs, weight or gradient, by a function of their parameter.
    """

    def __init__(self, kind):
        torch.manual_seed(0)
        self.kind, _, memory = kind.partition("+")
        make = {"dense": self._dense, "ltc": self._ltc}.get(self.kind.partition("-")[0], self._wired)
        self.order = list(range(UNITS))
        self.cell, self.theirs, self.places = make(bool(memory))
        self.ours = self.cell
        if memory:
            self.ours, lstm = MixedMemory(self.cell), self.theirs.lstm
            self.places |= {
                self.ours.input_map.weight: lambda read: read(lstm.input_map.weight),
                self.ours.input_map.bias: lambda read: read(lstm.input_map.bias),
                self.ours.recurrent_map.weight: lambda read: read(lstm.recurrent_map.weight),
            }
            if self.kind.startswith("ltc"):  # the memory's units stand in the order of the neurons
                order = self.order
                rows = [gate * UNITS + unit for gate in range(4) for unit in order]
                self.places[self.ours.input_map.weight] = lambda read: read(lstm.input_map.weight)[rows]
                self.places[self.ours.input_map.bias] = lambda read: read(lstm.input_map.bias)[rows]
                self.places[self.ours.recurrent_map.weight] = lambda read: read(lstm.recurrent_map.weight)[
                    rows
                ][:, order]
        with torch.no_grad():
            for ours, place in self.places.items():
                ours.copy_(place(lambda parameter: parameter.detach()))
        self.ours.double(), self.theirs.double()
        assert set(self.places) == set(self.ours.parameters())  # every parameter is compared

    def _wired(self, memory):
        theirs = CfC(INPUTS, AutoNCP(UNITS, MOTORS, seed=SEED), mode=self.kind, mixed_memory=memory)
        cell = WiredCfC(INPUTS, auto_ncp(INPUTS, UNITS, MOTORS, seed=SEED), self.kind, "ncps")
        layers, heads = theirs.rnn_cell._layers, MODES[self.kind]

        def joined(name):
            return lambda read: torch.cat([read(getattr(layer, name)).flatten() for layer in layers])

        places = {
            cell.weight: lambda read: ncps_dense(layers, cell, read).flatten()[cell.positions],
            cell.bias: lambda read: torch.stack(
                [torch.cat([read(getattr(layer, head).bias) for layer in layers]) for head in heads]
            ),
        }
        if self.kind == "pure":
            places |= {cell.amplitude: joined("A"), cell.rate: joined("w_tau")}
        return cell, theirs, places

    def _dense(self, memory):
        mode = self.kind.partition("-")[2] or "default"
        theirs = CfC(INPUTS, UNITS, proj_size=MOTORS, mode=mode, backbone_units=20, backbone_layers=2,
                     backbone_dropout=0.0, mixed_memory=memory)  # fmt: skip
        cell = DenseCfC(INPUTS, UNITS, MOTORS, mode, backbone=(20, 20))
        inner, places = theirs.rnn_cell, {}
        pairs = [
            *zip(cell.backbone, (inner.backbone[0], inner.backbone[2]), strict=True),
            (cell.readout, theirs.fc),
        ]
        for ours, layer in pairs:
            places[ours.weight] = lambda read, layer=layer: read(layer.weight)
            places[ours.bias] = lambda read, layer=layer: read(layer.bias)
        heads = [getattr(inner, head) for head in MODES[mode]]
        places[cell.heads.weight] = lambda read: torch.cat([read(head.weight) for head in heads])
        places[cell.heads.bias] = lambda read: torch.cat([read(head.bias) for head in heads])
        if mode == "pure":
            places[cell.amplitude] = lambda read: read(inner.A)[0]
            places[cell.rate] = lambda read: read(inner.w_tau)[0]
        return cell, theirs, places

    def _ltc(self, memory):
        full = self.kind == "ltc-full"
        wiring = FullyConnected(UNITS, MOTORS) if full else AutoNCP(UNITS, MOTORS, seed=SEED)
        theirs = LTC(INPUTS, wiring, mixed_memory=memory)
        ours = fully_connected(INPUTS, UNITS, MOTORS) if full else auto_ncp(INPUTS, UNITS, MOTORS, seed=SEED)
        cell, inner = LtcCore(INPUTS, ours), theirs.rnn_cell
        self.order = order = [*range(MOTORS, UNITS), *range(MOTORS)] if full else ncps_order(wiring)
        wired = [torch.from_numpy(matrix.T != 0) for matrix in (ours.sensory, ours.internal)]

        def synapses(name):
            def read_all(read):
                sensory = read(getattr(inner, f"sensory_{name}"))[:, order].T[wired[0]]
                return torch.cat([sensory, read(getattr(inner, name))[order][:, order].T[wired[1]]])

            return read_all

        places = {getattr(cell, name): synapses(theirs) for name, theirs in
                  (("weight", "w"), ("sigma", "sigma"), ("mu", "mu"), ("erev", "erev"))}  # fmt: skip
        for name in ("gleak", "vleak", "cm"):
            places[getattr(cell, name)] = lambda read, name=name: read(getattr(inner, name))[order]
        for name in ("input_w", "input_b", "output_w", "output_b"):
            places[getattr(cell, name)] = lambda read, name=name: read(getattr(inner, name))
        return cell, theirs, places

    def run_theirs(self, x, state, dt):
        """Outputs and state in our order; dt None for one period."""
        start, back = torch.empty_like(state[:, :UNITS]), self.order
        start[:, back] = state[:, :UNITS]
        if self.ours is not self.cell:
            memory = torch.empty_like(start)
            memory[:, back] = state[:, UNITS:]
            outputs, (h, c) = self.theirs(x, (start, memory), timespans=dt)
            return outputs, torch.cat([h[:, back], c[:, back]], dim=1)
        outputs, last = self.theirs(x, start, timespans=dt)
        return outputs, last[:, back]

    def assert_same_gradients(self, **tolerance):
        for ours, place in self.places.items():
            assert_close(ours.grad, place(lambda parameter: parameter.grad), **tolerance)


def ncps_dense(cells, cell, read):
    """ncps's matrices (or their gradients) in the places of ours: (heads, S, I + S)."""
    dense = torch.zeros(cell.masks.shape, dtype=read(cells[0].ff1.weight).dtype)
    previous = slice(0, cell.input_size)
    for layer, part in zip(cells, cell.wiring.layer_slices(), strict=True):
        own = slice(cell.input_size + part.start, cell.input_size + part.stop)
        width = previous.stop - previous.start
        for head, name in enumerate(MODES[cell.mode]):
            matrix = read(getattr(layer, name).weight)
            dense[head, part, previous], dense[head, part, own] = matrix[:, :width], matrix[:, width:]
        previous = own
    return dense


@pytest.fixture(params=KINDS + MIXED)
def pair(request):
    return Pair(request.param)


def sample(pair, batch, steps):
    x = torch.randn(batch, steps, INPUTS, dtype=torch.float64)
    state = torch.randn(batch, pair.ours.state_size, dtype=torch.float64)
    return x, state, 0.1 + 3.0 * torch.rand(batch, steps, dtype=torch.float64)


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
    x, state, _ = sample(pair, 5, 9)
    want, want_state = pair.run_theirs(
        x, state, None
    )  # its dt is 1; a batch of timespans raises in ncps 1.0.1
    have, have_state = pair.ours.sequence(x, state, torch.ones(5, 9, dtype=torch.float64))
    assert_close(have, want, **EXACT)
    assert_close(have_state, want_state, **EXACT)
    weight = torch.randn_like(want)
    ((want * weight).sum() + want_state.sum()).backward()
    ((have * weight).sum() + have_state.sum()).backward()
    pair.assert_same_gradients(**EXACT)


def test_alone_with_variable_dt(pair):
    x, state, dt = sample(pair, 1, 11)
    want, want_state = pair.run_theirs(x, state, dt)
    have, have_state = pair.ours.sequence(x, state, dt)
    assert_close(have, want, **EXACT)
    assert_close(have_state, want_state, **EXACT)
    (want.square().sum() + want_state.sum()).backward()
    (have.square().sum() + have_state.sum()).backward()
    pair.assert_same_gradients(**EXACT)


def test_batched_with_variable_dt_is_each_alone(pair):
    """ncps itself cannot: it is run once for each sequence."""
    x, state, dt = sample(pair, 4, 7)
    have, have_state = pair.ours.sequence(x, state, dt)
    for k in range(4):
        one = slice(k, k + 1)
        want, want_state = pair.run_theirs(x[one], state[one], dt[one])
        assert_close(have[one], want, **EXACT)
        assert_close(have_state[one], want_state, **EXACT)


def test_in_single_precision(pair):
    pair.ours.float(), pair.theirs.float()
    x, state, _ = (values.float() for values in sample(pair, 5, 9))
    want, want_state = pair.run_theirs(x, state, None)
    have, have_state = pair.ours.sequence(x, state, torch.ones(5, 9))
    assert_close(have, want, **SINGLE)
    assert_close(have_state, want_state, **SINGLE)


@pytest.mark.parametrize("kind", ["default", "ltc"])
def test_ncps_raises_for_a_batch_with_times_of_its_own(kind):
    pair = Pair(kind)
    with pytest.raises(RuntimeError, match="size of tensor"):
        pair.run_theirs(*sample(pair, 5, 9))


@pytest.mark.parametrize(("kind", "batch"), [("dense", UNITS), ("ltc", UNITS)])
def test_ncps_is_silently_wrong_where_the_batch_is_as_large_as_the_layer(kind, batch):
    """Its times are then those of the neurons. Ours are right; docs/networks.md names the case."""
    pair = Pair(kind)
    x, state, dt = sample(pair, batch, 3)
    with torch.no_grad():
        wrong, _ = pair.run_theirs(x, state, dt)
        right = torch.cat(
            [pair.run_theirs(x[k : k + 1], state[k : k + 1], dt[k : k + 1])[0] for k in range(batch)]
        )
        have, _ = pair.ours.sequence(x, state, dt)
    assert_close(have, right, **EXACT)
    assert (wrong - right).abs().max() > 1e-2


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
