"""Airframe files: what ships, what they must hold, and how they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from navstack.envs.vehicle import DEFAULT_AIRFRAME, airframe_names, load_airframe
from navstack.envs.vehicle.airframe import Airframe
from navstack.errors import InputError

SECTIONS = ("inertia", "geometry", "rotor", "drag", "controller")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A copy of the default airframe's file, to be spoilt."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(load_airframe(DEFAULT_AIRFRAME).model_dump(mode="json"), sort_keys=False))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_airframe(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    return sentence


def test_a_crazyflie_class_a_half_kilogram_class_and_a_500_size_class_ship() -> None:
    masses = {name: load_airframe(name).mass for name in airframe_names()}
    assert DEFAULT_AIRFRAME in masses
    assert any(mass < 0.05 for mass in masses.values())
    assert any(0.25 <= mass <= 0.5 for mass in masses.values())
    assert any(1.5 <= mass <= 2.1 for mass in masses.values())


@pytest.mark.parametrize("name", airframe_names())
def test_every_number_has_a_source(name: str) -> None:
    airframe = load_airframe(name)
    assert airframe.name == name
    for section in SECTIONS:
        fields = type(getattr(airframe, section)).model_fields
        named = [f"{section}.{field}" in airframe.sources for field in fields]
        assert section in airframe.sources or all(named)
    for key in airframe.sources:
        section, _, field = key.partition(".")
        assert section in SECTIONS
        assert not field or field in type(getattr(airframe, section)).model_fields


@pytest.mark.parametrize("name", airframe_names())
def test_the_numbers_make_a_vehicle_that_can_fly(name: str) -> None:
    airframe = load_airframe(name)
    rotor, inertia = airframe.rotor, airframe.inertia
    assert 1.5 < 4.0 * rotor.thrust * rotor.speed_max**2 / (9.81 * airframe.mass) < 12.0
    assert inertia.izz <= 1.02 * (
        inertia.ixx + inertia.iyy
    )  # the Crazyflie's published moments: 1% beyond a disc
    assert airframe.geometry.camera_offset_flu[0] > 0.4 * airframe.geometry.body[0]


def test_a_copy_given_by_path_is_the_same_airframe(written: Path) -> None:
    assert load_airframe(written) == load_airframe(DEFAULT_AIRFRAME)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'humingbird' not found; did you mean 'hummingbird'"):
        load_airframe("humingbird")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("section", "field", "value", "allowed"),
    [
        ("inertia", "mass", 0, "greater than 0"),
        ("inertia", "mass", "heavy", "valid number"),
        ("inertia", "ixx", float("inf"), "finite"),
        ("rotor", "drag", -1.0, "greater than or equal to 0"),
        ("controller", "tilt", 1.5, "less than 1.2"),
        ("geometry", "body", [0.1, 0.1], "missing"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(
    written: Path, section: str, field: str, value: object, allowed: str
) -> None:
    tree = yaml.safe_load(written.read_text())
    tree[section][field] = value
    written.write_text(yaml.safe_dump(tree, sort_keys=False))
    sentence = refusal(written)
    lines = written.read_text().splitlines()
    begin = lines.index(f"{section}:")
    line = next(n for n, text in enumerate(lines, 1) if n > begin and text.startswith(f"  {field}:"))
    assert f"{written}:{line}" in sentence
    assert f"{section}.{field}" in sentence
    assert allowed in sentence


def test_a_field_that_does_not_exist_is_named(written: Path) -> None:
    written.write_text(written.read_text() + "wings: 2\n")
    assert "wings" in refusal(written)


def test_a_missing_section_is_named(written: Path) -> None:
    tree = yaml.safe_load(written.read_text())
    del tree["rotor"]
    written.write_text(yaml.safe_dump(tree))
    assert "rotor" in refusal(written)


@pytest.mark.parametrize(
    ("section", "field", "value", "wrong"),
    [
        ("rotor", "speed_max", 300.0, "must be more than the weight of 4.91 N"),
        ("inertia", "mass", 6.0, "must be more than the weight of 58.9 N"),
        ("rotor", "thrust", 1e305, "must be more than the weight"),
        ("inertia", "izz", 0.5, "more than the other two together"),
        ("inertia", "ixx", 0.5, "more than the other two together"),
    ],
)
def test_numbers_that_no_vehicle_can_have_are_refused_at_their_section(
    written: Path, section: str, field: str, value: float, wrong: str
) -> None:
    tree = yaml.safe_load(written.read_text())
    tree[section][field] = value
    written.write_text(yaml.safe_dump(tree, sort_keys=False))
    sentence = refusal(written)
    blamed = "inertia" if "together" in wrong else "rotor"
    line = 1 + written.read_text().splitlines().index(f"{blamed}:")
    assert f"{written}:{line}: {blamed}: " in sentence
    assert wrong in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_camera_must_be_somewhere(written: Path, value: float) -> None:
    tree = yaml.safe_load(written.read_text())
    tree["geometry"]["camera_offset_flu"] = [0.1, value, 0.0]
    written.write_text(yaml.safe_dump(tree, sort_keys=False))
    assert "geometry.camera_offset_flu.1: must be a finite number" in refusal(written)


def test_a_refusal_tells_the_unit(written: Path) -> None:
    tree = yaml.safe_load(written.read_text())
    tree["rotor"]["time_constant"] = -0.03
    written.write_text(yaml.safe_dump(tree, sort_keys=False))
    assert refusal(written).endswith("found -0.03 (expected s, of the first-order lag of the rotor speed)")


def test_the_documentation_lists_every_field_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "vehicle.md").read_text()
    for section in SECTIONS:
        for field, info in Airframe.model_fields[section].annotation.model_fields.items():
            assert f"| `{section}.{field}` | {info.description} |" in page


def test_an_airframe_does_not_change_in_flight() -> None:
    airframe: Airframe = load_airframe(DEFAULT_AIRFRAME)
    with pytest.raises(ValueError, match="frozen"):
        airframe.name = "other"
