"""`navstack inspect`: what a policy file says of itself, and whether it may fly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Inspect:
    """Check a policy file and print its card.

    A file that does not meet the contract is refused with the reason, and the exit status is 2.
    """

    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    """Path of a policy.onnx, or the name of a policy that ships with navstack."""
    json: bool = False
    """Print JSON."""

    def __call__(self) -> int:
        """Check and print."""
        from navstack.inspection import inspect_text, inspection

        found = inspection(self.policy)
        if self.json:
            import json

            print(json.dumps(found, indent=1))
        else:
            print(inspect_text(found))
        return 0
