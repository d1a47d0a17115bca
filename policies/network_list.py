"""What `navstack networks` shows: every network by name, with its sizes counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from navstack.errors import InputError
from navstack.files import check_new_file, write_atomically
from navstack.policies.cores import CORES, check_core
from navstack.policies.vision import Vision
from navstack.policies.wiring import Wiring
from navstack.policies.wiring_file import is_wiring_file, read_wiring, write_wiring

HEADINGS = {
    "effective_parameters": "parameters",
    "neurons": "neurons",
    "synapses": "synapses",
    "state_size": "state",
    "multiply_adds": "multiply-adds",
}
"""Columns of the table: field of a row to heading."""


def network_rows() -> list[dict[str, Any]]:
    """One row a network: name, what it is, connectivity, and the counts of its core."""
    features = Vision().feature_size
    rows = []
    for name, preset in CORES.items():
        core: Any = preset(features)
        rows.append(
            {
                "network": name,
                "what": preset.what,
                "connectivity": core.connectivity,
                "effective_parameters": core.effective_parameters(),
                "raw_parameters": core.raw_parameters(),
                "neurons": core.neurons,
                "synapses": core.synapses,
                "state_size": core.state_size,
                "multiply_adds": core.multiply_adds(),
            }
        )
    return rows


def list_networks(as_json: bool) -> int:
    """Print them."""
    rows, vision = network_rows(), Vision()
    if as_json:
        print(json.dumps(rows, indent=1))
        return 0
    table = Table(title="navstack networks", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("network", *HEADINGS.values(), "what"):
        text = heading not in HEADINGS.values()
        table.add_column(heading, justify="left" if text else "right", no_wrap=heading != "what")
    for row in rows:
        table.add_row(row["network"], *(f"{row[column]:,}" for column in HEADINGS), row["what"])
    console = Console()
    console.print(table)
    console.print(
        f"The vision in front of each: {vision.parameter_count():,} parameters,"
        f" {vision.multiply_adds():,} multiply-adds a frame, {vision.feature_size} features.",
        highlight=False,
    )
    return 0


def draw_network(name: str, out: Path | None) -> int:
    """Write a network's wiring, or a wiring file's, as a picture or a wiring file.

    Raises InputError for a name or file that cannot be, a network without a wiring, a path that is missing,
    taken or of another kind, and a full disk.
    """
    if out is None or out.suffix not in (".png", ".json"):
        raise InputError(
            "--draw needs --out with a path that ends in .png (a picture) or .json (a wiring file)"
        )
    check_new_file(out)
    wiring, note = wiring_of(name)
    if out.suffix == ".json":
        write_wiring(wiring, out)
    else:
        from navstack.policies.wiring_picture import wiring_picture

        write_atomically(out, wiring_picture(wiring, note))
    print(f"{out}: {wiring.inputs} inputs, {wiring.neurons} neurons, {wiring.synapses} synapses")
    return 0


NOTES = {
    "strict": "strict: every head of a neuron hears exactly these synapses, and the neuron's own state",
    "ncps": "ncps: the synapses between layers mask ff1 and ff2; time heads and layers within are dense",
}
"""What a connectivity makes of a wiring, in a picture's words."""


def wiring_of(name: str) -> tuple[Wiring, str]:
    """The wiring of a network or wiring file, and what its connectivity makes of it. Raises InputError."""
    if is_wiring_file(name):
        return read_wiring(Path(name)), ""
    check_core(name)
    core: Any = CORES[name](Vision().feature_size)
    wiring = getattr(getattr(core, "cell", core), "wiring", None)
    if wiring is None:
        wired = [other for other in CORES if other.startswith(("cfc", "ltc")) and other != "cfc-dense"]
        raise InputError(f"network '{name}' follows no wiring; these do: {', '.join(wired)}")
    return wiring, "" if "ltc" in name else NOTES[core.connectivity]
