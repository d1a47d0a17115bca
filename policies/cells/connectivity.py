"""What a wiring means for the weights of a CfC: which entries of its heads exist, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from navstack.errors import InputError, nearest
from navstack.policies.cells.wavefront import FF1, FF2, HEADS, TIME_A, TIME_B
from navstack.policies.wiring import Wiring


def ncps_masks(wiring: Wiring) -> NDArray[np.bool_]:
    """Connectivity of `ncps`: (4, neurons, inputs + neurons), head by destination by source.

    The wiring masks what ff1 and ff2 hear of the layer before. The time heads hear all of the layer before,
    and every head all of its own layer; synapses within a layer play no role.
    """
    masks = np.zeros((HEADS, wiring.neurons, wiring.inputs + wiring.neurons), dtype=bool)
    previous = slice(0, wiring.inputs)
    wired = np.concatenate([wiring.sensory, wiring.internal]) != 0
    for layer in wiring.layer_slices():
        own = slice(wiring.inputs + layer.start, wiring.inputs + layer.stop)
        masks[:, layer, own] = True
        masks[[TIME_A, TIME_B], layer, previous] = True
        masks[[FF1, FF2], layer, previous] = wired[previous, layer].T
        previous = own
    return masks


def strict_masks(wiring: Wiring) -> NDArray[np.bool_]:
    """The wiring taken seriously: (4, neurons, inputs + neurons), head by destination by source.

    All four heads hear exactly the neuron's synapses, those within the layer included, and the neuron's own
    state: that is no synapse but its membrane, which in the equation that CfC solves (Hasani et al. 2022,
    equation 1) enters each neuron's derivative. Without it inter and motor neurons would have no memory.
    """
    wired = np.concatenate([wiring.sensory, wiring.internal | np.eye(wiring.neurons, dtype=np.int8)]).T != 0
    return np.broadcast_to(wired, (HEADS, *wired.shape)).copy()


CONNECTIVITIES: dict[str, Callable[[Wiring], NDArray[np.bool_]]] = {
    "ncps": ncps_masks,
    "strict": strict_masks,
}
"""Which weights of the heads exist, by name."""


def connectivity_masks(name: str, wiring: Wiring) -> NDArray[np.bool_]:
    """The masks of a connectivity by name. Raises InputError that names the nearest one."""
    if name not in CONNECTIVITIES:
        raise InputError(
            f"connectivity '{name}' not found{nearest(name, CONNECTIVITIES)} "
            f"(connectivities: {', '.join(CONNECTIVITIES)})"
        )
    return CONNECTIVITIES[name](wiring)
