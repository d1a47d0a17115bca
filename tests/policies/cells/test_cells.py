"""What every recurrent core promises, whatever is inside it."""

import pytest
import torch

from navstack.errors import InputError
from navstack.policies.cells.cell import check_size
from navstack.policies.cells.lstm import LstmCore
from navstack.policies.cores import CORES, sized_ncp

INPUTS = 48
EXACT = {"rtol": 1e-9, "atol": 1e-12}
TIMELESS = ("mlp",)  # a network without memory has nothing that time could change


@pytest.fixture(scope="module")
def cores():
    torch.manual_seed(0)
    return {name: preset(INPUTS).double() for name, preset in CORES.items()}


def sample(core, batch=3, steps=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, steps, INPUTS, generator=generator, dtype=torch.float64)
    state = 0.5 * torch.randn(batch, core.state_size, generator=generator, dtype=torch.float64)
    return x, state, 0.3 + 3.0 * torch.rand(batch, steps, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", CORES)
def test_the_core_has_the_size_that_all_have(cores, name):
    core = cores[name]
    assert 18_000 <= core.effective_parameters() <= 22_000
    assert core.effective_parameters() == sum(parameter.numel() for parameter in core.parameters())
    assert core.raw_parameters() >= core.effective_parameters()
    assert core.output_size == 4
    assert core.initial_state(5).shape == (5, core.state_size)
    assert core.state_size >= 1
    assert min(core.neurons, core.synapses, core.multiply_adds()) > 0


@pytest.mark.parametrize("name", CORES)
def test_a_sequence_is_its_steps_with_a_time_of_its_own_for_each(cores, name):
    core = cores[name]
    x, state, dt = sample(core)
    outputs, last = core.sequence(x, state, dt)
    for t in range(x.shape[1]):
        output, state = core.step(x[:, t], state, dt[:, t : t + 1])
        torch.testing.assert_close(outputs[:, t], output, **EXACT)
    torch.testing.assert_close(last, state, **EXACT)


@pytest.mark.parametrize("name", CORES)
def test_sequences_of_different_lengths_are_each_alone(cores, name):
    core = cores[name]
    x, state, dt = sample(core)
    lengths = torch.tensor([7, 1, 4])
    outputs, last = core.sequence(x, state, dt, lengths)
    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone, end = core.sequence(x[one, :length], state[one], dt[one, :length])
        torch.testing.assert_close(outputs[one, :length], alone, **EXACT)
        torch.testing.assert_close(last[one], end, **EXACT)
        assert not outputs[one, length:].any()


@pytest.mark.parametrize("name", CORES)
def test_gradients_with_lengths_are_those_of_each_alone(cores, name):
    core = cores[name]
    x, state, dt = sample(core)
    x.requires_grad_()
    lengths = torch.tensor([7, 2, 4])
    outputs, last = core.sequence(x, state, dt, lengths)
    parameters = list(core.parameters())
    together = torch.autograd.grad(outputs.sin().sum() + last.square().sum(), [x, *parameters])
    loss = 0.0
    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone, end = core.sequence(x[one, :length], state[one], dt[one, :length])
        loss = loss + alone.sin().sum() + end.square().sum()
    for found, wanted in zip(together, torch.autograd.grad(loss, [x, *parameters]), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", CORES)
def test_time_changes_what_a_core_with_memory_does(cores, name):
    core = cores[name]
    x, state, dt = sample(core)
    slow, fast = core.sequence(x, state, dt * 2.0)[0], core.sequence(x, state, dt)[0]
    assert ((slow - fast).abs().max() > 1e-3) == (name not in TIMELESS)


@pytest.mark.parametrize("name", CORES)
def test_every_parameter_learns(cores, name):
    core = cores[name]
    x, state, dt = sample(core)
    outputs, _ = core.sequence(x, state, dt)
    for (parameter, _), gradient in zip(
        core.named_parameters(), torch.autograd.grad(outputs.square().sum(), core.parameters()), strict=True
    ):
        assert gradient.abs().max() > 0, parameter


@pytest.mark.parametrize("name", CORES)
def test_the_same_seed_gives_the_same_weights(name):
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(CORES[name](INPUTS).state_dict())
    assert all(torch.equal(drawn[0][key], drawn[1][key]) for key in drawn[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("inputs", [16, 64])
def test_the_size_is_kept_for_other_numbers_of_features(name, inputs):
    assert 18_000 <= CORES[name](inputs).effective_parameters() <= 22_000


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([1, 2]), "3 whole numbers"),
        (torch.tensor([1.0, 2.0, 3.0]), "3 whole numbers"),
        (torch.tensor([0, 2, 3]), "from 0 to 3; they must be from 1 to 7"),
        (torch.tensor([1, 2, 8]), "from 1 to 8; they must be from 1 to 7"),
    ],
)
def test_lengths_that_cannot_be_are_refused(cores, lengths, message):
    for name in ("cfc-strict", "gru", "ltc-full"):
        with pytest.raises(InputError, match=message):
            cores[name].sequence(*sample(cores[name]), lengths)


def test_a_core_of_another_size_is_refused():
    with pytest.raises(InputError, match="with 48 inputs; it must have 18,000 to 22,000"):
        check_size(LstmCore(INPUTS, 20, 4))
    with pytest.raises(InputError, match="no core of 20,000 effective parameters has 3 inputs"):
        sized_ncp(3, lambda _: 10**6)
