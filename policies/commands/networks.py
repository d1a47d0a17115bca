"""`navstack networks`: the networks by name, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Networks:
    """List the networks: the liquid ones and their rivals, all of the same size.

    Counted with the vision in front of them: effective parameters of the core (weights that exist, and
    biases), its neurons, synapses and size of state, and the multiply-adds of one step of the core. Each name
    is taken by `navstack train --network`.
    """

    json: bool = False
    """Print JSON."""

    def __call__(self) -> int:
        """List them."""
        from navstack.policies.network_list import list_networks

        return list_networks(as_json=self.json)
