"""A policy card survives JSON; one that is newer, incomplete or wrong is refused with the field's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.card import card_from_json, card_to_json
from navstack.contract import CARD_FORMAT, CameraSpec, Limits, PolicyCard
from navstack.errors import InputError

MakeCard = Callable[..., PolicyCard]
REQUIRED = [f.name for f in fields(PolicyCard) if f.default is MISSING and f.default_factory is MISSING]

counts = st.integers(0, 2**40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=4)
cameras = st.builds(
    CameraSpec,
    height=st.integers(8, 4096),
    width=st.integers(8, 4096),
    horizontal_fov=st.floats(0.05, 3.1),
    pitch=st.floats(-1.6, 1.6),
    latency=st.floats(0, 1),
)
limits = st.builds(Limits, *(st.floats(0, 50) for _ in range(4)))
cards = st.builds(
    PolicyCard,
    task=st.text(),
    targets=st.lists(st.text()).map(tuple),
    network=st.text(),
    wiring=st.text(),
    state_size=st.integers(1, 65_536),
    effective_parameters=counts,
    raw_parameters=counts,
    vision_parameters=counts,
    neurons=counts,
    synapses=counts,
    camera=cameras,
    rate_hz=st.floats(0.1, 1000),
    dt_min=st.floats(1e-4, 0.1),
    dt_max=st.floats(0.1, 10),
    limits=limits,
    training=json_objects,
    evaluation=st.lists(json_objects, max_size=2).map(tuple),
    real_flights=counts,
    code_version=st.text(),
)


@given(cards)
def test_a_card_survives_json(card: PolicyCard) -> None:
    assert card_from_json(card_to_json(card)) == card


def changed(card: PolicyCard, **values: Any) -> str:
    return json.dumps(asdict(card) | values)


def test_whole_numbers_serve_as_numbers(make_card: MakeCard) -> None:
    card = card_from_json(changed(make_card(), rate_hz=20))
    assert isinstance(card.rate_hz, float)
    assert card == make_card(rate_hz=20.0)


def test_what_has_a_default_may_be_missing(make_card: MakeCard) -> None:
    values = {name: value for name, value in asdict(make_card()).items() if name in REQUIRED}
    assert card_from_json(json.dumps(values | {"format": 1})) == make_card(camera=CameraSpec())


def test_a_newer_format_is_refused_in_a_sentence_whatever_else_it_says() -> None:
    with pytest.raises(InputError) as error:
        card_from_json(json.dumps({"format": CARD_FORMAT + 1, "brand": "new"}))
    assert str(error.value) == (
        f"the policy card has format {CARD_FORMAT + 1}, and this navstack reads up to {CARD_FORMAT};"
        " upgrade navstack"
    )


@pytest.mark.parametrize("number", [None, "1", 1.0, True, 0, -1, [1]])
def test_a_format_that_is_no_positive_whole_number_is_refused(make_card: MakeCard, number: Any) -> None:
    with pytest.raises(InputError, match="format is"):
        card_from_json(changed(make_card(), format=number))


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_field_is_named(make_card: MakeCard, name: str) -> None:
    values = asdict(make_card())
    del values[name]
    with pytest.raises(InputError, match=f"has no field '{name}'"):
        card_from_json(json.dumps(values))


@pytest.mark.parametrize("name", [f.name for f in fields(PolicyCard) if f.name != "format"])
def test_a_wrong_type_is_named(make_card: MakeCard, name: str) -> None:
    right = asdict(make_card())[name]
    for wrong in (
        None,
        True,
        {"a": 1} if not isinstance(right, dict) else "text",
        1.5 if right != 1.5 else "x",
    ):
        if isinstance(right, float) and isinstance(wrong, float):
            continue
        with pytest.raises(InputError, match=f"'{name}' is .*; expected "):
            card_from_json(changed(make_card(), **{name: wrong}))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"targets": ["chair", 3]}, "'targets' is .*; expected a list of texts"),
        ({"evaluation": [{}, "row"]}, "'evaluation' is .*; expected a list of objects"),
        ({"camera": {"height": "64"}}, "'camera': 'height' is '64'; expected a whole number"),
        ({"camera": {"hieght": 64}}, "unknown field 'hieght'; did you mean 'height'"),
        ({"limits": {"forward": [2]}}, "'limits': 'forward' is .*; expected a number"),
        ({"netwrok": "cfc"}, "unknown field 'netwrok'; did you mean 'network'"),
        ({"zzz": 1}, "unknown field 'zzz'; its fields are task, targets"),
        ({"state_size": 0}, "state_size is 0; it must be 1 to"),
        ({"state_size": 10**400}, "state_size is 1000"),
        ({"rate_hz": 10**400}, "'rate_hz' is a number too large"),
        ({"rate_hz": 0}, "rate_hz is 0.0; it must be 0.1 to 1000"),
        ({"rate_hz": 1e999}, "not JSON .Infinity"),
        ({"training": {"loss": float("nan")}}, "not JSON .NaN"),
        ({"dt_min": 0.2, "dt_max": 0.1}, "dt_max is 0.1; it must be 0.2 to"),
        ({"dt_min": 0.0}, "dt_min is 0.0; it must be 0.0001 to"),
        ({"synapses": -1}, "synapses is -1"),
        ({"camera": {"horizontal_fov": 4}}, r"camera.horizontal_fov is 4.0; it must be 0.05 to 3.1"),
        ({"camera": {"color_order": "BGR"}}, "camera.color_order is 'BGR'; expected RGB"),
        ({"limits": {"up": -1}}, "limits.up is -1.0; it must be 0 to 50"),
    ],
)
def test_what_cannot_be_is_named(make_card: MakeCard, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        card_from_json(changed(make_card(), **values))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"card"', "1", "null", "[" * 100_000, '{"format": 1', "1" * 9999]
)
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the policy card is"):
        card_from_json(text)


@given(st.text())
def test_any_text_is_a_card_or_refused(text: str) -> None:
    with pytest.raises(InputError):
        card_from_json(text)


def test_a_number_that_is_not_finite_is_not_written(make_card: MakeCard) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        card_to_json(make_card(training={"loss": float("nan")}))
