"""Back ends compute the same to single precision, and are refused where they cannot run."""

import pytest
import torch
from torch.testing import assert_close

from navstack.errors import InputError
from navstack.policies.cells import backends
from navstack.policies.cells.backends import use_backend
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cells.ltc import LtcCore
from navstack.policies.cores import CORES
from navstack.policies.network import NetworkSpec, build_network
from navstack.policies.wiring import auto_ncp, fully_connected, random_sparse

pytest.importorskip("numba")
INPUTS = 9
NCP = auto_ncp(INPUTS, 23, 4)
CELLS = {
    "cfc strict": lambda: WiredCfC(INPUTS, NCP),
    "cfc ncps": lambda: WiredCfC(INPUTS, NCP, "default", "ncps"),
    "cfc of one layer": lambda: WiredCfC(INPUTS, random_sparse(INPUTS, 13, 4, 0.6)),
    "ltc": lambda: LtcCore(INPUTS, NCP),
    "ltc full": lambda: LtcCore(INPUTS, fully_connected(INPUTS, 11, 4), steps=3),
}
SHAPES = {"eight lanes": (8, 6), "one": (1, 5), "more than a chunk": (11, 4)}


def run(cell, batch, steps, lengths):
    """Outputs, last state, and gradients by inputs, first state and parameters."""
    random = torch.Generator().manual_seed(1)
    x = torch.randn(batch, steps, INPUTS, generator=random, requires_grad=True)
    state = (0.5 * torch.randn(batch, cell.state_size, generator=random)).requires_grad_()
    dt = 0.3 + 3.0 * torch.rand(batch, steps, generator=random)
    weight = torch.randn(batch, steps, cell.output_size, generator=random)
    outputs, last = cell.sequence(x, state, dt, lengths)
    loss = (outputs * weight).sum() + last.square().sum()
    return outputs, last, *torch.autograd.grad(loss, [x, state, *cell.parameters()])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "ltc" in name else []) for name in CELLS]
)
def test_numba_computes_what_torch_computes(name, shape, threads):
    torch.manual_seed(0)
    cell, (batch, steps) = CELLS[name](), SHAPES[shape]
    lengths = torch.arange(batch) % steps + 1 if batch > 8 else None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        wanted = run(cell, batch, steps, lengths)
        use_backend(cell, "numba")
        found = run(cell, batch, steps, lengths)
    finally:
        torch.set_num_threads(before)
    for have, want in zip(found, wanted, strict=True):
        scale = float(want.detach().abs().max())
        assert_close(have, want, rtol=2e-5, atol=2e-6 * max(scale, 1.0))


@pytest.mark.parametrize("name", ["cfc-strict", pytest.param("ltc-ncp", marks=pytest.mark.slow)])
def test_a_policy_learns_with_numba_as_with_torch(name):
    torch.manual_seed(0)
    network = build_network(NetworkSpec(preset=name))
    images = torch.randint(0, 256, (2, 3, 64, 96, 3), dtype=torch.uint8)
    dt, losses = torch.full((2, 3), 0.05), []
    for backend in backends.BACKENDS:
        use_backend(network, backend)
        commands, _ = network.sequence(images, dt, network.initial_state(2))
        losses.append(torch.autograd.grad(commands.square().sum(), list(network.parameters())))
    for torchs, numbas in zip(*losses, strict=True):
        assert_close(numbas, torchs, rtol=1e-3, atol=1e-4 * float(torchs.abs().max()))


def test_what_numba_cannot_run_is_refused(monkeypatch):
    cell = CELLS["cfc strict"]()
    use_backend(cell, "numba")
    with pytest.raises(InputError, match=r"computes in float32 on a CPU, not in torch\.float64"):
        cell.double().sequence(
            torch.zeros(1, 2, INPUTS).double(), cell.initial_state(1), torch.ones(1, 2).double()
        )
    for name in ("lstm", "cfc-pure"):
        with pytest.raises(InputError, match="no cell that the back end numba can run"):
            use_backend(CORES[name](48), "numba")
    with pytest.raises(InputError, match="did you mean 'numba'"):
        use_backend(cell, "numbra")
    ltc = CELLS["ltc"]()
    use_backend(ltc, "numba")
    with pytest.raises(InputError, match="no gradient for dt"):
        ltc.sequence(torch.zeros(1, 2, INPUTS), ltc.initial_state(1), torch.ones(1, 2, requires_grad=True))
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'navstack\[fast\]'"):
        use_backend(cell, "numba")
