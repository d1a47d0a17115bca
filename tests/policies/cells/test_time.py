"""How a constant input may be cut into steps: at will, up to a solver, or not, as the equations say."""

import pytest
import torch

from navstack.policies.cells.cfc import MODES, WiredCfC
from navstack.policies.cells.ct_rnn import CtRnnCore
from navstack.policies.cells.gru_ode import GruOdeCore
from navstack.policies.cells.ltc import LtcCore
from navstack.policies.cells.ssm import S5Layer
from navstack.policies.wiring import auto_ncp

INPUTS = 6
FLOWS = {
    "ltc": lambda solver, steps: LtcCore(INPUTS, auto_ncp(INPUTS, 14, 3), solver, steps),
    "ct-rnn": lambda solver, steps: CtRnnCore(INPUTS, 8, 3, solver, steps),
    "gru-ode": lambda solver, steps: GruOdeCore(INPUTS, 8, 3, solver, steps),
}
FAR = {"default": 0.94, "no_gate": 1.13, "pure": 0.17}
"""Untrained CfC, random state: how far two steps of 1 are from one of 2, by root mean square of the state."""


def held(batch, cuts):
    """One input for each sequence, held, and its time cut into these steps."""
    x = torch.randn(batch, 1, INPUTS, dtype=torch.float64).expand(-1, len(cuts), -1)
    return x, torch.tensor(cuts, dtype=torch.float64).expand(batch, -1)


def after(net, cuts, seed=2):
    torch.manual_seed(seed)
    state = 0.5 * torch.randn(3, net.state_size, dtype=torch.float64)
    x, dt = held(3, cuts)
    with torch.no_grad():
        return net.sequence(x, state, dt)[1]


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_invariant_to_the_cuts_up_to_its_solver(name):
    """LTC, CT-RNN and GRU-ODE are flows while the input is held; only the solver's error tells the cuts."""
    torch.manual_seed(0)
    net = FLOWS[name]("adaptive", 1).double()
    torch.testing.assert_close(after(net, [3.0]), after(net, [0.5, 1.7, 0.8]), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", FLOWS)
def test_equal_steps_of_the_solver_are_the_same_however_frames_hold_them(name):
    solver = "fused" if name == "ltc" else "euler"
    whole, halves = (FLOWS[name](solver, steps).double() for steps in (12, 6))
    halves.load_state_dict(whole.state_dict())
    torch.testing.assert_close(after(whole, [2.0]), after(halves, [1.0, 1.0]), rtol=1e-12, atol=1e-12)


def test_a_state_space_is_invariant_to_the_cuts_exactly():
    """Zero-order hold is the solution for a held input."""
    torch.manual_seed(0)
    layer = S5Layer(8, 4).double()
    x, state = torch.randn(3, 1, 8, dtype=torch.float64), torch.randn(3, 8, dtype=torch.float64)
    ends = [
        layer(x.expand(-1, len(cuts), -1), state, torch.tensor([cuts], dtype=torch.float64).expand(3, -1))[1]
        for cuts in ([3.0], [0.5, 1.7, 0.8])
    ]
    torch.testing.assert_close(ends[0][:, -1], ends[1][:, -1], rtol=1e-12, atol=1e-12)


def cfc(mode, recurrent):
    torch.manual_seed(0)
    net = WiredCfC(INPUTS, auto_ncp(INPUTS, 30, 4), mode, "ncps").double()
    if not recurrent:
        with torch.no_grad():
            dense = net.masks.copy()
            for part in net.wiring.layer_slices():
                dense[:, part, INPUTS + part.start : INPUTS + part.stop] = False
            net.weight[~torch.from_numpy(dense).flatten()[net.positions]] = 0.0
    return net


@pytest.mark.parametrize("mode", MODES)
def test_a_cfc_without_recurrence_depends_on_the_last_cut_alone(mode):
    """Its closed form counts time from the last frame: what was before is in the recurrent weights only."""
    net = cfc(mode, recurrent=False)
    torch.testing.assert_close(after(net, [2.0, 0.7]), after(net, [0.3, 1.7, 0.7]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(after(net, [0.7]), after(net, [0.7, 0.7, 0.7]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_a_cfc_with_recurrence_is_not_invariant_and_the_docs_say_how_far(mode):
    net = cfc(mode, recurrent=True)
    whole, halves = after(net, [2.0]), after(net, [1.0, 1.0])
    apart = float((whole - halves).square().mean().sqrt() / whole.square().mean().sqrt())
    assert apart == pytest.approx(FAR[mode], abs=0.02)
