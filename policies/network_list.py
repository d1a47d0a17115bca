"""What `navstack networks` shows: every network by name, with its sizes counted."""

from __future__ import annotations

import json
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from navstack.policies.cores import CORES
from navstack.policies.vision import Vision

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
