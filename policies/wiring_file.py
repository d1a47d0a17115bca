"""A wiring as a small JSON file: how a connectome of one's own comes in, and one that was drawn goes out.

```json
{"format": 1, "name": "my worm", "inputs": 48, "layers": [20, 12, 4], "motors": 4,
 "sensory": [[0, 3, 1], [1, 3, -1]],
 "internal": [[3, 20, 1], [20, 32, -1]]}
```

A synapse is [source, destination, polarity]: sources of `sensory` are inputs, all other numbers are neurons,
counted from 0 in the order in which their layers run; 1 excites, -1 inhibits. Inputs reach the first layer;
neurons reach their own layer and the next. The last `motors` neurons are the output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from navstack.errors import InputError, nearest
from navstack.files import write_atomically
from navstack.policies.wiring import Wiring

FORMAT = 1
FIELDS = ("format", "name", "inputs", "layers", "motors", "sensory", "internal")
LARGEST = 100_000  # inputs or neurons


def is_wiring_file(name: str) -> bool:
    """Whether a name is meant as the path of a wiring file."""
    return name.endswith(".json")


def write_wiring(wiring: Wiring, path: Path) -> None:
    """Write the file, whole or not at all. Raises InputError when the disk is full."""
    write_atomically(path, wiring_to_json(wiring).encode())


def wiring_to_json(wiring: Wiring) -> str:
    """The wiring as JSON, a line for each kind of thing."""
    facts = {
        "format": FORMAT,
        "name": wiring.name,
        "inputs": wiring.inputs,
        "layers": list(wiring.layers),
        "motors": wiring.outputs,
        "sensory": _synapses(wiring.sensory),
        "internal": _synapses(wiring.internal),
    }
    return "{" + ",\n ".join(f'"{name}": {json.dumps(value)}' for name, value in facts.items()) + "}\n"


def _synapses(matrix: NDArray[np.int8]) -> list[list[int]]:
    return [[int(a), int(b), int(matrix[a, b])] for a, b in np.argwhere(matrix)]


def read_wiring(path: Path) -> Wiring:
    """The wiring in a file. Raises InputError that names the file and what is wrong in it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such wiring file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a wiring file ({error})") from error
    try:
        return _wiring(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _wiring(values: Any) -> Wiring:
    if not isinstance(values, dict):
        raise InputError(f"a wiring file holds a JSON object, not a {type(values).__name__}")
    for name in values:
        if name not in FIELDS:
            raise InputError(
                f"unknown field '{name:.60}'{nearest(name, FIELDS)} (fields: {', '.join(FIELDS)})"
            )
    for name in FIELDS:
        if name not in values:
            raise InputError(f"there is no field '{name}'")
    if values["format"] != FORMAT:
        raise InputError(f"the format is {values['format']!r:.20}; this version reads {FORMAT}")
    layers = values["layers"]
    if not isinstance(layers, list) or not layers:
        raise InputError("'layers' must list the neurons of each layer")
    sizes = tuple(_count(size, "a layer's number of neurons") for size in layers)
    inputs, neurons = _count(values["inputs"], "'inputs'"), sum(sizes)
    if neurons > LARGEST:
        raise InputError(f"there are {neurons} neurons; at most {LARGEST} can be")
    return Wiring(
        _matrix(values["sensory"], "sensory", inputs, neurons),
        _matrix(values["internal"], "internal", neurons, neurons),
        sizes,
        str(values["name"])[:80],
        _count(values["motors"], "'motors'"),
    )


def _count(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST:
        raise InputError(f"{what} must be a whole number from 1 to {LARGEST}, not {value!r:.40}")
    return value


def _matrix(synapses: Any, kind: str, sources: int, targets: int) -> NDArray[np.int8]:
    if not isinstance(synapses, list):
        raise InputError(f"'{kind}' must list synapses as [source, destination, polarity]")
    matrix = np.zeros((sources, targets), dtype=np.int8)
    for number, synapse in enumerate(synapses):
        whole = isinstance(synapse, list) and [type(value) for value in synapse] == [int, int, int]
        if not whole or synapse[2] not in (-1, 1):
            raise InputError(
                f"{kind} synapse {number} is {synapse!r:.60}; it must be [source, destination, 1 or -1]"
            )
        source, target, polarity = synapse
        if not (0 <= source < sources and 0 <= target < targets):
            raise InputError(
                f"{kind} synapse {number} leads from {source} to {target}; sources are 0 to {sources - 1} and"
                f" destinations 0 to {targets - 1}"
            )
        if matrix[source, target]:
            raise InputError(f"{kind} synapse {number}, from {source} to {target}, is there twice")
        matrix[source, target] = polarity
    return matrix
