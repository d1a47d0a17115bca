"""The policy card as JSON, as it stands in a policy file's metadata."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from typing import Any, NoReturn

from navstack.contract import CARD_FORMAT, CameraSpec, Limits, PolicyCard
from navstack.errors import InputError, nearest

_NESTED: dict[str, type[CameraSpec] | type[Limits]] = {"CameraSpec": CameraSpec, "Limits": Limits}

# type of a field -> JSON type of its value, of its elements, and how a sentence calls it
_KINDS: dict[str, tuple[type | tuple[type, ...], type | None, str]] = {
    "str": (str, None, "a text"),
    "int": (int, None, "a whole number"),
    "float": ((int, float), None, "a number"),
    "tuple[str, ...]": (list, str, "a list of texts"),
    "dict[str, Any]": (dict, None, "an object"),
    "tuple[dict[str, Any], ...]": (list, dict, "a list of objects"),
    "CameraSpec": (dict, None, "an object"),
    "Limits": (dict, None, "an object"),
}
_COUNTS = (
    "effective_parameters",
    "raw_parameters",
    "vision_parameters",
    "neurons",
    "synapses",
    "real_flights",
)


def card_to_json(card: PolicyCard) -> str:
    """The card as JSON, fields in order, readable. Raises ValueError for a number that is not finite."""
    return json.dumps(asdict(card), indent=1, allow_nan=False)


def card_from_json(text: str) -> PolicyCard:
    """The card in a JSON text. Raises InputError for a newer format and for what is missing or wrong."""
    try:
        values = json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the policy card is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"the policy card is a JSON {type(values).__name__}; expected an object")
    number = values.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InputError(f"the policy card's format is {number!r:.60}; expected 1 to {CARD_FORMAT}")
    if number > CARD_FORMAT:
        raise InputError(
            f"the policy card has format {number!r:.20}, and this navstack reads up to {CARD_FORMAT};"
            " upgrade navstack"
        )
    card: PolicyCard = _build(PolicyCard, values, "the policy card")
    _check_values(card)
    return card


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _build(kind: type[Any], values: dict[str, Any], where: str) -> Any:
    known = {field.name: field for field in fields(kind)}
    for name in values:
        if name not in known:
            hint = nearest(name, known) or f"; its fields are {', '.join(known)}"
            raise InputError(f"{where} has an unknown field '{name:.60}'{hint}")
    arguments: dict[str, Any] = {}
    for name, field in known.items():
        if name in values:
            arguments[name] = _convert(str(field.type), values[name], f"{where}: '{name}'")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{where} has no field '{name}'")
    return kind(**arguments)


def _convert(type_name: str, value: Any, where: str) -> Any:
    allowed, element, called = _KINDS[type_name]
    right = isinstance(value, allowed) and not isinstance(value, bool)
    if right and element is not None:
        right = all(isinstance(item, element) for item in value)
    if not right:
        raise InputError(f"{where} is {value!r:.60}; expected {called}")
    if type_name in _NESTED:
        return _build(_NESTED[type_name], value, where)
    if type_name == "float":
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{where} is a number too large") from None
    return tuple(value) if isinstance(value, list) else value


def _check_values(card: PolicyCard) -> None:
    camera, limits = card.camera, card.limits
    ranges: dict[str, tuple[float, float, float]] = {
        "state_size": (card.state_size, 1, 65_536),
        "rate_hz": (card.rate_hz, 0.1, 1000.0),
        "dt_min": (card.dt_min, 1e-4, 10.0),
        "dt_max": (card.dt_max, card.dt_min, 10.0),
        "camera.height": (camera.height, 8, 4096),
        "camera.width": (camera.width, 8, 4096),
        "camera.horizontal_fov": (camera.horizontal_fov, 0.05, 3.1),
        "camera.pitch": (camera.pitch, -1.6, 1.6),
        "camera.latency": (camera.latency, 0.0, 1.0),
    }
    for name in _COUNTS:
        ranges[name] = (getattr(card, name), 0, 2**40)
    for name in ("forward", "left", "up", "yaw_rate"):
        ranges[f"limits.{name}"] = (getattr(limits, name), 0.0, 50.0)
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise InputError(f"the policy card's {name} is {value!r:.20}; it must be {low:g} to {high:g}")
    if camera.color_order != "RGB":
        raise InputError(f"the policy card's camera.color_order is '{camera.color_order:.60}'; expected RGB")


EXPERT_CARD = PolicyCard(
    task="", targets=(), network="expert", wiring="", state_size=1, effective_parameters=0, raw_parameters=0,
    vision_parameters=0, neurons=0, synapses=0,
)  # fmt: skip
"""For pilots that are no network: the expert, or a person."""
