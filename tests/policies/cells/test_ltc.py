"""The LTC: its solvers against an adaptive reference, its orders of convergence, its bounds, refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.errors import InputError
from navstack.policies.cells.ltc import LtcCore
from navstack.policies.wiring import auto_ncp, fully_connected, random_sparse

INPUTS = 5
WIRINGS = {
    "ncp": auto_ncp(INPUTS, 14, 3),
    "full": fully_connected(INPUTS, 8, 2),
    "random": random_sparse(INPUTS, 9, 2, 0.6),
}


def ltc(wiring="ncp", solver="fused", steps=6):
    torch.manual_seed(0)
    return LtcCore(INPUTS, WIRINGS[wiring], solver, steps).double()


def sample(net, batch=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, INPUTS, generator=generator, dtype=torch.float64)
    state = torch.randn(batch, net.state_size, generator=generator, dtype=torch.float64)
    return x, state, 0.2 + 2.0 * torch.rand(batch, 1, generator=generator, dtype=torch.float64)


def error(wiring, solver, steps):
    """Largest difference of the state after one frame from the adaptive solver's."""
    net, exact = ltc(wiring, solver, steps), ltc(wiring, "adaptive")
    with torch.no_grad():
        return float((net.step(*sample(net))[1] - exact.step(*sample(net))[1]).abs().max())


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize(("solver", "order", "steps"), [("fused", 1, 256), ("euler", 1, 256), ("rk4", 4, 48)])
def test_solvers_converge_to_the_adaptive_reference_with_their_order(wiring, solver, order, steps):
    coarse, fine = error(wiring, solver, steps), error(wiring, solver, 2 * steps)
    assert fine < 0.01
    assert torch.log2(torch.tensor(coarse / fine)) == pytest.approx(order, abs=0.15)


def test_the_adaptive_reference_is_precise():
    assert error("ncp", "rk4", 1024) < 1e-9


@given(dt=st.floats(1e-3, 1e3), steps=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_the_fused_solver_stays_within_what_drives_it_for_any_dt(dt, steps, seed):
    """Each step is a weighted mean of state, leak and reversal potentials (Hasani et al. 2021, theorem 2)."""
    net = ltc("full", "fused", steps)
    x, state, _ = sample(net, seed=seed)
    with torch.no_grad():
        _, after = net.step(x, state, torch.full((4, 1), dt, dtype=torch.float64))
    bound = max(float(state.abs().max()), 1.0)  # |vleak| is at most 0.2, |erev| is 1
    assert after.abs().max() <= bound + 1e-9


def test_explicit_euler_does_not_stay_there():
    net = ltc("full", "euler", 1)
    x, state, _ = sample(net)
    _, after = net.step(x, state, torch.full((4, 1), 50.0, dtype=torch.float64))
    assert after.abs().max() > 10.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solver": "fuse"}, "did you mean 'fused'"),
        ({"steps": 0}, "at least 1 step a frame, not 0"),
        ({"input_size": 6}, "has 5 inputs, but the cell gets 6"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    arguments = {"input_size": INPUTS, "wiring": WIRINGS["ncp"], **change}
    with pytest.raises(InputError, match=message):
        LtcCore(**arguments)
