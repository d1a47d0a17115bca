"""`navstack models`: the policies that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Models:
    """List the policies that ship with navstack.

    Every command that takes a policy takes such a name as well as a path.
    """

    json: bool = False
    """Print JSON."""

    def __call__(self) -> int:
        """List them."""
        from navstack.inspection import models, models_text

        found = models()
        if self.json:
            import json

            print(json.dumps(found, indent=1))
        else:
            print(models_text(found))
        return 0
