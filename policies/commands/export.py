"""`navstack export`: a checkpoint becomes a policy file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Export:
    """Export a checkpoint of a training run as one checked policy.onnx."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """A run's folder (its newest round is exported), or the folder of one of its rounds."""
    out: Path
    """Path of the file to write."""

    def __call__(self) -> int:
        """Run the export."""
        from navstack.policies.imitation.command import run_export

        return run_export(self)
