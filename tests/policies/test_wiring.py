"""Wirings: those of ncps, counted, and refusals that name what is wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ncps.wirings import AutoNCP, FullyConnected, Random

from navstack.errors import InputError
from navstack.policies.wiring import Wiring, auto_ncp, fully_connected, ncp, random_sparse

NCP = {
    "inputs": 5, "inter": 6, "command": 5, "motor": 2, "sensory_fanout": 3, "inter_fanout": 2,
    "recurrent_command_synapses": 4, "motor_fanin": 3,
}  # fmt: skip


@given(
    inputs=st.integers(1, 60),
    units=st.integers(6, 90),
    sparsity=st.floats(0.1, 1.0),
    seed=st.integers(0, 999),
)
@settings(max_examples=25, deadline=None)
def test_the_same_call_draws_the_circuit_of_ncps(inputs, units, sparsity, seed):
    ours, theirs = auto_ncp(inputs, units, 2, sparsity, seed), AutoNCP(units, 2, sparsity, seed)
    theirs.build(inputs)
    order = [n for layer in range(theirs.num_layers) for n in theirs.get_neurons_of_layer(layer)]
    assert (ours.internal == theirs.adjacency_matrix[np.ix_(order, order)]).all()
    assert (ours.sensory == theirs.sensory_adjacency_matrix[:, order]).all()
    assert ours.synapses == theirs.synapse_count + theirs.sensory_synapse_count


@given(
    inputs=st.integers(1, 20),
    units=st.integers(3, 25),
    sparsity=st.floats(0.0, 0.95),
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_wirings_of_one_layer_are_those_of_ncps_with_motor_neurons_last(inputs, units, sparsity, seed):
    order = [*range(2, units), 0, 1]
    for ours, theirs in (
        (random_sparse(inputs, units, 2, sparsity, seed), Random(units, 2, sparsity, seed)),
        (fully_connected(inputs, units, 2, seed), FullyConnected(units, 2, seed)),
    ):
        theirs.build(inputs)
        assert (ours.internal == theirs.adjacency_matrix[np.ix_(order, order)]).all()
        assert (ours.sensory == theirs.sensory_adjacency_matrix[:, order]).all()
        assert ours.outputs == 2


def test_one_layer_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="motors from 1 to the 3 neurons, not 5 and 4"):
        fully_connected(5, 3, 4)
    with pytest.raises(InputError, match="sparsity must be at least 0 and below 1, not 1"):
        random_sparse(5, 6, 2, 1.0)


@given(inputs=st.integers(1, 40), units=st.integers(6, 90), sparsity=st.floats(0.1, 1.0))
@settings(max_examples=25, deadline=None)
def test_every_neuron_is_heard_and_hears(inputs, units, sparsity):
    wiring = auto_ncp(inputs, units, 2, sparsity)
    incoming = np.concatenate([wiring.sensory, wiring.internal]) != 0
    inter, command, motor = wiring.layer_slices()
    assert incoming.any(0).all()
    assert (wiring.sensory != 0).any(1).all()
    assert (wiring.internal[inter, command] != 0).any(1).all()
    assert (wiring.internal[command, motor] != 0).any(1).all()
    assert sum(wiring.layers) == wiring.neurons == units
    assert wiring.outputs == motor.stop - motor.start == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": 0}, "inputs must be at least 1, not 0"),
        ({"motor": 0}, "motor must be at least 1, not 0"),
        ({"recurrent_command_synapses": -1}, "recurrent_command_synapses must be at least 0"),
        ({"sensory_fanout": 7}, "sensory_fanout is 7 but there are only 6 inter neurons"),
        ({"inter_fanout": 6}, "inter_fanout is 6 but there are only 5 command neurons"),
        ({"motor_fanin": 6}, "motor_fanin is 6 but there are only 5 command neurons"),
    ],
)
def test_counts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        ncp(**{**NCP, **change})


@pytest.mark.parametrize(
    ("units", "motors", "sparsity", "message"),
    [(6, 4, 0.5, "motors must be from 1 to units - 3 = 3, not 4"), (9, 2, 0.05, "sparsity must be from 0.1")],
)
def test_an_automatic_wiring_that_cannot_be_is_refused(units, motors, sparsity, message):
    with pytest.raises(InputError, match=message):
        auto_ncp(5, units, motors, sparsity)


@pytest.mark.parametrize(
    ("sensory", "internal", "layers", "message"),
    [
        (np.ones((2, 3)), np.zeros((3, 3)), (), "every layer needs at least 1 neuron"),
        (np.ones((2, 3)), np.zeros((2, 2)), (1, 1, 1), "internal synapses have shape"),
        (np.ones((2, 2)), np.zeros((3, 3)), (1, 1, 1), "sensory synapses have shape"),
        (np.array([[2, 0, 0]]), np.zeros((3, 3)), (1, 1, 1), "polarities must be -1, 0 or"),
        (np.array([[0, 1, 0]]), np.zeros((3, 3)), (1, 1, 1), "inputs may reach only the first layer"),
        (np.array([[1, 0, 0]]), np.eye(3, k=2), (1, 1, 1), "neurons of layer 2 may hear only"),
    ],
)
def test_synapses_that_skip_or_do_not_fit_are_refused(sensory, internal, layers, message):
    with pytest.raises(InputError, match=message):
        Wiring(sensory, internal, layers)
