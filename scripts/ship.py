#!/usr/bin/env python3
"""Put a judged policy among those that ship: its weights as they are, its card with the published figures.

usage: .venv/bin/python scripts/ship.py POLICY TABLES.json NAME
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import onnx

from navstack.card import card_to_json
from navstack.errors import exit_status
from navstack.files import write_atomically
from navstack.policy import CARD_KEY, OnnxPolicy


def main() -> int:
    """Write navstack/models/NAME.onnx and check it the way that every policy is checked."""
    source, tables, name = sys.argv[1:4]
    rows = tuple(
        {key: value for key, value in row.items() if key != "policy"}
        for row in json.loads(Path(tables).read_text())["held_out"]
    )
    card = replace(OnnxPolicy.load(source).card, evaluation=rows)
    model = onnx.load(source)
    entry = next(entry for entry in model.metadata_props if entry.key == CARD_KEY)
    entry.value = card_to_json(card)
    target = Path(__file__).resolve().parent.parent / "navstack" / "models" / f"{name}.onnx"
    write_atomically(target, model.SerializeToString(deterministic=True))
    print(OnnxPolicy.load(target).card.evaluation[-1])
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
