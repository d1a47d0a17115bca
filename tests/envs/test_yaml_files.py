"""Files that people write: whatever stands in them, there is a model or one sentence."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from navstack.envs.worlds.spec import load_world
from navstack.envs.yaml_files import DEEPEST, LARGEST, load_yaml_model
from navstack.errors import InputError


class Wheel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: Annotated[float, Field(gt=0.0)]
    kind: Literal["steel", "wood"] = "wood"


class Cart(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    wheels: list[Wheel] = []
    load: Annotated[tuple[float, float], Field(description="[low, high] in kg")] | None = None
    paint: list[int] | Literal["any"] = "any"


def load(text: str | bytes, model: type[BaseModel] = Cart) -> BaseModel:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cart.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return load_yaml_model(path, model)


def refusal(text: str | bytes) -> str:
    """The sentence, from the file's name on."""
    with pytest.raises(InputError) as caught:
        load(text)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence[sentence.index("cart.yaml") + len("cart.yaml") :]


def test_a_good_file_gives_its_model() -> None:
    cart = load("name: one\nwheels:\n  - {size: 2, kind: steel}\n  - {size: 0.5}\nload: [1, 2]\n")
    assert cart == Cart(name="one", wheels=[Wheel(size=2, kind="steel"), Wheel(size=0.5)], load=(1, 2))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: [", ":1: not YAML: "),
        ("name: x\n\twheels: 1", ":2: not YAML: found character '\\t' that cannot start any token"),
        ("", ":1: expected fields (name, wheels, load, paint), found nothing"),
        ("- a\n- b", ":1: expected fields (name, wheels, load, paint), found a list"),
        ("wheels: []", ":1: name: is missing"),
        ("name: x\nwheels:\n  - size: 0", ":3: wheels.0.size: must be greater than 0; found 0"),
        ("name: x\nwheels:\n  - {}", ":3: wheels.0.size: is missing"),
        ("name: x\n\nwheels: 3", ":3: wheels: must be a list; found 3"),
        ("name: x\nlaod: [1, 2]", ":2: laod: there is no such field here; did you mean 'load'?"),
        ("name: x\nwheels: [{size: 1, knid: steel}]", "did you mean 'kind'? (fields: size, kind)"),
        ("name: x\nwheels: [{size: 1, kind: stel}]", "must be 'steel' or 'wood'; did you mean 'steel'?"),
        ("name: x\nload: heavy", ":2: load: must be a list; found 'heavy' (expected [low, high] in kg)"),
        ("name: x\nload: [1, two]", "(expected [low, high] in kg)"),
        ("name: x\npaint: blue", ":2: paint: must be a list or must be 'any'; found 'blue'"),
        ("name: x\nlaod-s: 1", ":2: laod-s: there is no such field here"),
        ("name: x\nname: y", ":2: name: given twice"),
        ("name: x\n3: y", "Keys should be strings"),
        ("name: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("name: 2020-13-45", "a value that cannot be read"),
        ("name: !!int ''", "a value that cannot be read"),
        ("? [a]\n: b\n", "unhashable key"),
        ("name: &a [*a]", "an alias within itself"),
        ("name: " + 60 * "[" + 60 * "]", f"nested more than {DEEPEST} levels deep"),
        (b"name: \xff\xfe", ": cannot be read: it is not UTF-8 text"),
        (b"name: \x00", "not YAML: "),
    ],
)
def test_a_refusal_names_line_field_and_what_is_allowed(text: str | bytes, sentence: str) -> None:
    assert sentence in refusal(text)


def test_further_mistakes_are_counted() -> None:
    assert refusal("wheels: 3\npaint: blue").endswith(" (and 2 more)")


def test_a_few_lines_cannot_stand_for_billions_of_values() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 12)]
    assert "aliases written out" in refusal("\n".join(lines))


def test_a_large_file_is_not_read() -> None:
    assert "larger than 1 MiB" in refusal(b"#" * (LARGEST + 1))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(InputError, match="cannot be read"):
            load_yaml_model(path, Cart)


def attempt(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            said = f"{path} gives {load_world(path).name}"
        except InputError as error:
            said = str(error)
        assert "\n" not in said
        assert str(path) in said


@given(st.text())
def test_any_text_is_a_world_or_refused(text: str) -> None:
    attempt(text)


PLAIN = {
    "name": "mine",
    "ground": {"textures": [{"family": "grass", "colors": [[0.2, 0.5, 0.2]], "tile": [1, 3]}]},
    "sky": {"zenith": "any", "horizon": [[0.8, 0.8, 0.9]]},
    "objects": [{"kind": "tree", "density": [0.1, 0.5], "height": [3, 6]}],
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["any", "red"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """The path of everything in a tree."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(key, *rest) for key, inner in pairs for rest in ((), *places(inner))]


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(copy[place[0]], place[1:], new)
    return copy


@given(st.sampled_from(places(PLAIN)), VALUES)
def test_any_value_in_any_place_is_a_world_or_refused(place: tuple[Any, ...], value: Any) -> None:
    attempt(yaml.safe_dump(replaced(PLAIN, place, value)))


@given(st.sampled_from([*places(PLAIN), ()]), st.text(max_size=6), VALUES)
def test_any_further_field_is_refused_by_name(place: tuple[Any, ...], name: str, value: Any) -> None:
    target: Any = PLAIN
    for part in place:
        target = target[part]
    if isinstance(target, dict):
        attempt(yaml.safe_dump(replaced(PLAIN, place, target | {name: value})))


@given(st.data())
def test_any_damage_to_a_good_file_is_a_world_or_refused(data: st.DataObject) -> None:
    text = yaml.safe_dump(PLAIN)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    attempt(text[:start] + data.draw(st.text(max_size=5)) + text[end:])
