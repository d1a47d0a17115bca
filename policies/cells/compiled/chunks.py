"""Batches cut into chunks of LANES sequences, and the work on them shared among threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from navstack.errors import InputError
from navstack.policies.cells.compiled.vectors import LANES

# torch's own threads where they can be had: after work they wait for more in a busy loop, on the cores that
# threads beside them would need
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


def check_single(*tensors: Tensor) -> None:
    """Raise InputError but for float32 on a CPU."""
    for tensor in tensors:
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise InputError(
                f"the numba back end computes in float32 on a CPU, not in {tensor.dtype} on {tensor.device}:"
                " use the torch back end"
            )


def chunked(values: Tensor, filling: float = 0.0) -> Tensor:
    """(B, T, F) to (chunks, T, F, LANES), the last chunk filled up."""
    batch, steps, features = values.shape
    filled = values.detach()
    if batch % LANES:
        filled = torch.nn.functional.pad(filled, (0, 0, 0, 0, 0, -batch % LANES), value=filling)
    return filled.view(-1, LANES, steps, features).permute(0, 2, 3, 1).contiguous()


def unchunked(values: Tensor, batch: int) -> Tensor:
    """(chunks, T, F, LANES) to (B, T, F)."""
    return values.permute(0, 3, 1, 2).flatten(0, 1)[:batch]


class Kernel(NamedTuple):
    """A compiled loop over chunks or rows."""

    alone: Callable[..., None]  # (begin, end, ...): by the calling thread
    shared: Callable[..., None]  # (cuts, ...): cuts[p] to cuts[p + 1] by thread p

    def run(self, work: NDArray[np.int64], *arguments: Any) -> None:
        """Over pieces with so much work each, shared among as many threads as torch computes with."""
        arrays = [
            value.detach().contiguous().numpy() if isinstance(value, Tensor) else value for value in arguments
        ]
        parts = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS, len(work))
        if parts == 1:
            self.alone(0, len(work), *arrays)
            return
        ends = np.searchsorted(np.cumsum(work), work.sum() * np.arange(1, parts) / parts) + 1
        numba.set_num_threads(parts)
        self.shared(np.array([0, *ends, len(work)]), *arrays)
