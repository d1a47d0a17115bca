"""`navstack networks`: the networks by name, their sizes and their wirings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Networks:
    """List the networks: the liquid ones and their rivals, all of the same size. Or draw a wiring.

    Listed are the core's effective parameters (weights that exist, and biases), neurons, synapses, size of
    state, and multiply-adds of one step. Each name is taken by `navstack train --network`, and so is the path
    of a wiring file: a connectome of your own.
    """

    draw: str | None = None
    """Instead of listing, draw the wiring of this network, or of this wiring file (.json), to OUT."""
    out: Path | None = None
    """Where to: a picture (.png), or a wiring file (.json) to begin with."""
    json: bool = False
    """Print the list as JSON."""

    def __call__(self) -> int:
        """List or draw them."""
        from navstack.policies.network_list import draw_network, list_networks

        return list_networks(as_json=self.json) if self.draw is None else draw_network(self.draw, self.out)
