"""What `navstack inspect` and `navstack models` tell of policy files."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict
from typing import Any

import onnxruntime

from navstack.onnx_file import graph_hash
from navstack.policy import OnnxPolicy, model_names, read_policy

Facts = dict[str, Any]


def inspection(path_or_name: str) -> Facts:
    """What a policy file says and holds, after every check. Raises InputError as `OnnxPolicy.load` does."""
    file = read_policy(path_or_name)
    OnnxPolicy.from_file(file)
    return {
        "file": file.name,
        "bytes": len(file.data),
        "sha256": hashlib.sha256(file.data).hexdigest(),
        "graph_sha256": graph_hash(file.data),  # without the card: equal for equal results
        "ir_version": file.contents.ir_version,
        "opset": max(file.contents.opsets.values()),
        "operators": sorted(file.contents.operators),
        "checked_with": f"onnxruntime {onnxruntime.__version__}",
        "card": asdict(file.card),
    }


def inspect_text(facts: Facts) -> str:
    """The facts for a person."""
    card = facts["card"]
    camera, limits = card["camera"], card["limits"]
    rows = {
        "task": f"{card['task']}: {', '.join(card['targets'])}",
        "network": f"{card['network']}, {card['wiring']} wiring,"
        f" {card['neurons']:,} neurons, {card['synapses']:,} synapses, state of {card['state_size']:,}",
        "parameters": f"core {card['effective_parameters']:,} effective of {card['raw_parameters']:,};"
        f" vision {card['vision_parameters']:,}",
        "camera": f"{camera['width']} x {camera['height']} {camera['color_order']},"
        f" {math.degrees(camera['horizontal_fov']):.1f} degrees wide,"
        f" pitch {math.degrees(camera['pitch']):.1f} degrees, latency {1e3 * camera['latency']:.0f} ms",
        "time": f"{card['rate_hz']:g} Hz; dt {1e3 * card['dt_min']:.0f} to {1e3 * card['dt_max']:.0f} ms",
        "limits": f"forward {limits['forward']:g}, left {limits['left']:g}, up {limits['up']:g} m/s;"
        f" yaw rate {limits['yaw_rate']:g} rad/s",
        "real flights": f"{card['real_flights']:,}",
        "written by": f"navstack {card['code_version']}, card format {card['format']}",
        "graph": f"opset {facts['opset']}, IR {facts['ir_version']}, sha256 {facts['graph_sha256']}",
    }
    lines = [f"{facts['file']}: {facts['bytes']:,} bytes, checked with {facts['checked_with']}"]
    lines += [f"  {name:<13} {_plain(value)}" for name, value in rows.items()]
    if card["training"]:
        lines += ["  training", *(f"    {_plain(k)}: {_plain(v)}" for k, v in card["training"].items())]
    if card["evaluation"]:
        lines += ["  evaluation", *(f"    {_evaluation_text(row)}" for row in card["evaluation"])]
    return "\n".join(lines)


def models() -> list[Facts]:
    """The policies that ship, from their cards; nothing is run."""
    found = []
    for name in model_names():
        file = read_policy(name)
        found.append({"name": name, "bytes": len(file.data), "card": asdict(file.card)})
    return found


def models_text(found: list[Facts]) -> str:
    """One paragraph a policy, for a person."""
    if not found:
        return "no policies ship with this version of navstack"
    lines = []
    for facts in found:
        card = facts["card"]
        lines += [
            f"{facts['name']}: {card['task']} ({', '.join(card['targets'])})",
            f"  {card['network']}, {card['effective_parameters']:,} parameters in the core and"
            f" {card['vision_parameters']:,} in the vision, {facts['bytes'] / 1000:.0f} kB,"
            f" {card['rate_hz']:g} Hz, real flights: {card['real_flights']:,}",
            *(f"  {_evaluation_text(row)}" for row in card["evaluation"]),
        ]
    return "\n".join(map(_plain, lines))


def _evaluation_text(row: Facts) -> str:
    """One row of a table of `navstack evaluate`; what it lacks is left out."""
    world = _plain(row.get("world", "?"))
    rate, low, high = (row.get(key) for key in ("success_rate", "ci_low", "ci_high"))
    text = f"{world:<12} "
    if isinstance(rate, int | float):
        text += f"{rate:7.1%}"
    if isinstance(low, int | float) and isinstance(high, int | float):
        text += f" ({low:.1%} to {high:.1%})"
    if isinstance(row.get("episodes"), int):
        text += f" of {row['episodes']:,} flights"
    if row.get("perturb"):
        text += f", {_plain(row['perturb'])}"
    return text


def _plain(value: object) -> str:
    """Text without control characters: a card comes from a file, and a terminal obeys some of them."""
    return "".join(character if character.isprintable() else "?" for character in str(value))
