"""Every cell's gradients are its derivatives: central differences in float64 (`torch.autograd.gradcheck`)."""

import pytest
import torch

from navstack.policies.cells.cfc import MODES, WiredCfC
from navstack.policies.cells.connectivity import CONNECTIVITIES
from navstack.policies.cells.ct_rnn import CtRnnCore
from navstack.policies.cells.dense_cfc import DenseCfC
from navstack.policies.cells.gru import GruCore
from navstack.policies.cells.gru_ode import GruOdeCore
from navstack.policies.cells.lstm import LstmCore
from navstack.policies.cells.ltc import LTC_SOLVERS, LtcCore
from navstack.policies.cells.mixed_memory import MixedMemory
from navstack.policies.cells.mlp import MlpCore
from navstack.policies.cells.ode_rnn import OdeRnnCore
from navstack.policies.cells.ssm import SsmCore
from navstack.policies.cells.tcn import TcnCore
from navstack.policies.wiring import auto_ncp, random_sparse

INPUTS, OUTPUTS = 3, 2
WIRING = auto_ncp(INPUTS, 7, OUTPUTS)
CELLS = {
    **{
        f"cfc {mode} {connectivity}": lambda mode=mode, connectivity=connectivity: WiredCfC(
            INPUTS, WIRING, mode, connectivity
        )
        for mode in MODES
        for connectivity in CONNECTIVITIES
    },
    "cfc of one layer": lambda: WiredCfC(INPUTS, random_sparse(INPUTS, 5, OUTPUTS)),
    **{f"dense cfc {mode}": lambda mode=mode: DenseCfC(INPUTS, 3, OUTPUTS, mode, (4,)) for mode in MODES},
    "mixed memory": lambda: MixedMemory(WiredCfC(INPUTS, WIRING)),
    **{
        f"ltc {solver}": lambda solver=solver: LtcCore(INPUTS, WIRING, solver, 2)
        for solver in LTC_SOLVERS
        if solver != "adaptive"
    },
    **{
        kind.__name__: lambda kind=kind: kind(INPUTS, 2, OUTPUTS)
        for kind in (LstmCore, GruCore, GruOdeCore, OdeRnnCore, CtRnnCore, TcnCore, SsmCore, MlpCore)
    },
}


@pytest.mark.parametrize("name", CELLS)
def test_gradients_by_inputs_state_and_parameters_are_derivatives(name):
    torch.manual_seed(0)
    cell = CELLS[name]().double()
    x = torch.randn(2, 3, INPUTS, dtype=torch.float64, requires_grad=True)
    state = 0.5 * torch.randn(2, cell.state_size, dtype=torch.float64)
    dt, lengths = 0.3 + torch.rand(2, 3, dtype=torch.float64), torch.tensor([3, 2])
    names = [name for name, _ in cell.named_parameters()]
    values = [
        0.5 * torch.randn_like(p) if "bias" in n else p.detach().clone() for n, p in cell.named_parameters()
    ]
    cell.forward = cell.sequence

    def run(x, state, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(cell, parameters, (x, state, dt, lengths))

    inputs = (x, state.requires_grad_(), *(value.requires_grad_() for value in values))
    # where the backward is ours every entry is compared, else a random projection of all
    written = isinstance(cell, WiredCfC) or name == "ltc fused"
    assert torch.autograd.gradcheck(run, inputs, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=not written)
