"""Time constants to begin with, and the task that needs them."""

import numpy as np
import pytest
import torch

from navstack.errors import InputError
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cores import CORES
from navstack.policies.memory import (
    CLASSES,
    CUE,
    DelayedRecall,
    begin_with_time_constants,
    learn_recall,
    recalled,
)
from navstack.policies.wiring import auto_ncp


def small(connectivity="strict", seed=0):
    torch.manual_seed(seed)
    return WiredCfC(8, auto_ncp(8, 20, 4), "default", connectivity)


@pytest.mark.parametrize("connectivity", ["strict", "ncps"])
@pytest.mark.parametrize("dt", [0.7, 1.0, 1.4])
def test_without_input_a_small_state_fades_with_its_time_constant(connectivity, dt):
    """The time heads' weights and the second target are silenced: what is left is the leak alone."""
    cell = small(connectivity)
    longest = 50.0
    begin_with_time_constants(cell, longest, torch.Generator().manual_seed(1))
    tau = longest ** torch.rand(16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own = cell.weight == 1.0
        assert int(own.sum()) == 16
        cell.weight[~own] = 0.0
        cell.bias[1] = 0.0
        state = torch.full((1, 20), 1e-3)
        kept = (cell.step(torch.zeros(1, 8), state, torch.full((1, 1), dt))[1] / state)[0, :16]
    slow = tau > 5.0
    np.testing.assert_allclose(kept[slow].numpy(), torch.exp(-dt / tau[slow]).numpy(), rtol=0.02)
    if dt == 1.0:
        np.testing.assert_allclose(kept.numpy(), torch.exp(-1.0 / tau).numpy(), rtol=1e-4)


def test_motor_neurons_stay_as_they_were_drawn():
    before, after = small(), small()
    begin_with_time_constants(after, 100.0, torch.Generator().manual_seed(0))
    motor = slice(16, 20)
    torch.testing.assert_close(before.dense_weights()[:, motor], after.dense_weights()[:, motor])
    torch.testing.assert_close(before.bias[:, motor], after.bias[:, motor])
    assert not torch.equal(before.bias[:, :16], after.bias[:, :16])


def test_only_a_wired_cfc_of_mode_default_has_them():
    with pytest.raises(InputError, match="wired CfC"):
        begin_with_time_constants(torch.nn.GRU(3, 3), 10.0, torch.Generator())
    with pytest.raises(InputError, match="over one frame period"):
        begin_with_time_constants(small(), 1.0, torch.Generator())


def test_the_cue_is_shown_first_and_only_then():
    task = DelayedRecall(delay=20)
    drawn = task.draw(64, torch.Generator().manual_seed(0))
    assert drawn.x.shape == (64, CUE + 20 + 1, 48)
    assert 1.0 / 3.0 <= float(drawn.dt.min()) < 0.5 < 2.0 < float(drawn.dt.max()) <= 3.0
    channels = drawn.x @ torch.linalg.pinv(task._mixing)
    shown = channels[:, :CUE, :CLASSES].mean(dim=1).argmax(dim=1)
    assert torch.equal(shown, drawn.answer)
    torch.testing.assert_close(channels[:, CUE:, :CLASSES], torch.zeros(64, 21, CLASSES), atol=1e-4, rtol=0.0)


@pytest.mark.slow
def test_what_is_forgotten_without_them_is_recalled_with_them():
    task, right = DelayedRecall(delay=30), {}
    for memory in (0.0, 60.0):
        torch.manual_seed(0)
        core = CORES["cfc-strict"](48)
        if memory:
            begin_with_time_constants(core, memory, torch.Generator().manual_seed(0))
        right[memory] = recalled(learn_recall(core, task, 60, 32, 3e-3, seed=1), task, 256, seed=2)
    assert right[0.0] < 128  # chance is 64
    assert right[60.0] > 230
