"""The processes that learn together: one, or as many as torchrun started.

Each takes its shares of every batch; gradients are added over all of them, so every process holds the same
weights at every step. The first one alone flies, writes and speaks. All of them read the same folder.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from navstack.errors import InputError, nearest

PRECISIONS = ("32-true", "bf16-mixed")
PATIENCE = timedelta(days=7)  # the first process may fly for hours while the others wait


class Processes:
    """Who learns: devices, sums over processes, and who is the first.

    Raises InputError where the accelerator is unknown or not there, or the precision unknown.
    """

    def __init__(self, accelerator: str, precision: str = "32-true") -> None:
        if precision not in PRECISIONS:
            raise InputError(
                f"precision '{precision}' not found{nearest(precision, PRECISIONS)}"
                f" (precisions: {', '.join(PRECISIONS)})"
            )
        self.count = (
            int(os.environ.get("WORLD_SIZE", "1")) if torch.distributed.is_torchelastic_launched() else 1
        )
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if self.count > 1 else 1
        if accelerator != "cpu":  # deterministic sums on a GPU need it (torch.use_deterministic_algorithms)
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        strategy = DDPStrategy(timeout=PATIENCE) if self.count > 1 else "auto"
        try:
            self._fabric = Fabric(
                accelerator=accelerator, devices=here, num_nodes=self.count // here,
                strategy=strategy, precision=precision,  # type: ignore[arg-type]
            )  # fmt: skip
        except (ValueError, RuntimeError) as error:
            raise InputError(f"accelerator '{accelerator}' cannot be used here: {error}") from error
        if self.count > 1:
            self._fabric.launch()

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self._fabric.global_rank)

    @property
    def first(self) -> bool:
        """Whether this process flies, writes and speaks."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self._fabric.device

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            self._fabric.barrier()

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, the same in each of them."""
        if self.count == 1:
            return tensor
        summed = self._fabric.all_reduce(tensor, reduce_op="sum")
        assert isinstance(summed, Tensor)
        return summed

    def autocast(self) -> AbstractContextManager[None]:
        """The run's precision, for what computes inside."""
        return self._fabric.autocast()
