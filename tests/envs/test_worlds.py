"""World files: the library, what a person may write, and how mistakes are answered."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from navstack.envs.commands.worlds import Check, New
from navstack.envs.worlds.command import print_schema, schema_text
from navstack.envs.worlds.spec import WorldSpec, is_target_red, load_world, world_names
from navstack.envs.worlds.textures import draw_color
from navstack.errors import InputError

SCHEMA = Path(__file__).parents[2] / "envs" / "worlds" / "world.schema.json"
PLAIN: dict[str, Any] = yaml.safe_load("""
name: mine
ground:
  textures:
    - {family: grass, colors: [[0.2, 0.5, 0.2]], tile: [1, 3]}
sky: {zenith: any, horizon: [[0.8, 0.8, 0.9]]}
objects:
  - {kind: tree, density: [0.1, 0.5], height: [3, 6]}
""")
TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the plain world with one value replaced: write("objects", 0, "kind", value="tre")."""

    def written(*place: str | int, value: Any) -> Path:
        world = copy.deepcopy(PLAIN)
        target: Any = world
        for part in place[:-1]:
            target = target[part]
        target[place[-1]] = value
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(world, sort_keys=False))
        return path

    return written


def refusal(path: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        load_world(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The library


def test_the_library_has_its_worlds_in_their_splits() -> None:
    train = {"forest", "meadow", "mosaic", "studio", "beach", "hills"}
    assert train == set(world_names("train"))
    assert {"park", "farmland", "barn", "bazaar", "suburb"} == set(world_names("dev"))
    held_out = {"autumn", "winter", "urban", "warehouse", "depot", "desert", "dusk", "fog", "night"}
    assert held_out | {"office", "photo"} == set(world_names("held-out"))
    splits = [name for split in ("train", "dev", "held-out") for name in world_names(split)]
    assert sorted(splits) == world_names()


@pytest.mark.parametrize("name", world_names())
def test_a_library_world_is_named_as_its_file_and_described(name: str) -> None:
    world = load_world(name)
    assert world.name == name
    assert len(world.description) > 20


@pytest.mark.parametrize("name", world_names())
def test_a_worlds_model_writes_a_file_that_gives_it_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(load_world(name).model_dump(mode="json")))
    assert load_world(path) == load_world(name)


def test_a_worlds_file_copied_elsewhere_is_the_same_world(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "envs" / "worlds" / "library" / "urban.yaml"
    (tmp_path / "urban.yaml").write_bytes(source.read_bytes())
    assert load_world(tmp_path / "urban.yaml") == load_world("urban")


def test_the_published_schema_is_that_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    """To write it anew: navstack worlds schema > envs/worlds/world.schema.json"""
    assert SCHEMA.read_text() == schema_text() + "\n"
    assert json.loads(schema_text())["title"] == WorldSpec.__name__
    print_schema()
    assert capsys.readouterr().out == SCHEMA.read_text()


# What a person may write


def test_the_least_world_has_a_name_a_ground_and_a_sky(write: Write) -> None:
    world = load_world(write("objects", value=[]))
    assert (world.split, world.room, world.fog.density) == ("held-out", None, (0.0, 0.0))


def test_the_world_that_the_documentation_shows_can_be_built(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text()
    path = tmp_path / "harbour.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0])
    (tmp_path / "art").mkdir()
    cv2.imwrite(str(tmp_path / "art" / "planks.png"), np.full((8, 8, 3), 120, np.uint8))
    (tmp_path / "art" / "crane.obj").write_text(TETRAHEDRON)
    assert Check(str(path), draws=4)() == 0


def test_images_and_meshes_are_found_beside_the_world_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "art").mkdir()
    cv2.imwrite(str(tmp_path / "art" / "moss.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "art" / "rock.obj").write_text(TETRAHEDRON)
    path = write("ground", "textures", value=[{"file": "art/moss.png"}])
    assert load_world(path).ground.textures[0].file == str(tmp_path / "art" / "moss.png")
    mesh = {"kind": "mesh", "file": "art/rock.obj", "count": [1, 2], "height": [1, 2]}
    assert load_world(write("objects", 0, value=mesh)).objects[0].file == str(tmp_path / "art" / "rock.obj")


def test_a_path_relative_to_where_one_stands_works(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "moss.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "moss").write_bytes((tmp_path / "moss.png").read_bytes())
    write("objects", 0, "texture_files", value=["moss"])
    monkeypatch.chdir(tmp_path)
    assert load_world("mine.yaml").objects[0].texture_files == [str(tmp_path / "moss")]


# Mistakes


@pytest.mark.parametrize(
    ("place", "value", "line", "sentence"),
    [
        (("grund",), 3, "grund: 3", "grund: there is no such field here; did you mean 'ground'?"),
        (("objects", 0, "heigth"), [1, 2], "heigth:", "did you mean 'height'?"),
        (("objects", 0, "kind"), "tre", "kind: tre", "objects.0.kind: must be 'tree', 'conifer'"),
        (("objects", 0, "kind"), "tre", "kind: tre", "or 'mesh'; did you mean 'tree'?; found 'tre'"),
        (
            ("ground", "textures", 0, "family"),
            "gras",
            "family: gras",
            "'cells' or 'any'; did you mean 'grass'?",
        ),
        (
            ("objects", 0, "height"),
            "tall",
            "height: tall",
            "must be a list; found 'tall' (expected [low, high] within",
        ),
        (("objects", 0, "height"), 3, "height: 3", "objects.0.height: must be a list; found 3"),
        (("objects", 0, "height"), [6, 3], "height:", "the range [6.0, 3.0] must rise: [low, high]"),
        (("objects", 0, "height"), [3, 60], "- 60", "objects.0.height.1: must be less than or equal to 40"),
        (("objects", 0, "count"), [2, 1], None, "the range [2, 1] must rise"),
        (("objects", 0, "count"), [1, 2], None, "give either 'density' (per 100 m^2) or 'count'"),
        (("objects", 0, "textures"), [], None, "give at least one of 'textures' or 'texture_files'"),
        (("objects", 0, "kind"), "mesh", None, "'file' (an OBJ file) belongs to kind 'mesh'"),
        (("ground", "textures", 0, "colors"), [[0.9, 0.1, 0.1]], "colors:", "a marker's saturated red"),
        (("ground", "textures", 0, "colors"), [], "colors: []", "must have at least 1 item"),
        (
            ("sky", "zenith"),
            "blue",
            "zenith: blue",
            "sky.zenith: must be a list or must be 'any'; found 'blue'",
        ),
        (("sky", "zenith"), [[90, 90, 200]], None, "less than or equal to 1; found 90"),
        (("sky", "horizon"), [[0.7, 0.05, 0.1]], None, "a marker's saturated red"),
        (("light",), {"colors": []}, None, "light.colors: must have at least 1 item"),
        (("room",), {"textures": []}, None, "room.textures: must have at least 1 item"),
        (("wind",), [0, 30], "- 30", "(expected [low, high] within 0 and 6)"),
        (("wind",), [float("nan"), 1], None, "must be a finite number"),
        (("split",), "test", "split: test", "must be 'train', 'dev' or 'held-out'"),
        (("targets",), {"marker": "blue"}, "marker: blue", "targets.marker: must be 'red'"),
        (("targets",), {"kinds": []}, None, "targets.kinds: must have at least 1 item"),  # nothing to fly to
        (("targets",), {"kinds": ["tree"]}, "- tree", "targets.kinds.0: must be"),
        (
            ("room",),
            {"half_size": [5, 8]},
            "- 5",
            "(expected [low, high] within 13 and 60)",
        ),  # too small for a flight
        (("name",), "my world", "name: my world", "name: must match pattern"),
        (("light",), {"level": [0.0, 0.5]}, "- 0.0", "light.level.0: must be greater than or equal to 0.02"),
        (("light",), {"levle": [0.1, 0.5]}, "levle:", "did you mean 'level'?"),
        (("sky", "glow"), [0, 2], "- 2", "sky.glow.1: must be less than or equal to 1"),
        (("sky", "images"), [{"file": "gone.jpg"}], "file: gone", "sky.images.0.file: the file"),
        (("ground", "terrain"), {"scale": [5, 9]}, "- 5", "(expected [low, high] within 12 and 100)"),
        (("ground", "terrain"), {"pattern": "dune"}, "pattern: dune", "did you mean 'dunes'?"),
        (("ground", "terrain"), {"steepest": 2}, "steepest: 2", "must be less than or equal to 0.5"),
        (("ground", "textures", 0, "crop"), [0, 0, 1, 1], None, "'crop' is a part of an image"),
        (("objects", 0, "lamp"), {"reach": [1, 5]}, "- 1", "objects.0.lamp.reach.0: must be greater"),
        (("objects", 0, "lamp"), {"colors": [[0.9, 0.1, 0.1]]}, "colors:", "a marker's saturated red"),
        (("objects", 0, "up"), "y", None, "'materials' and 'up' belong to kind 'mesh'"),
        (("atlas",), 20, "atlas: 20", "must be less than or equal to 12"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_is_allowed(
    write: Write, place: tuple[str | int, ...], value: Any, line: str | None, sentence: str
) -> None:
    path = write(*place, value=value)
    said = refusal(path)
    assert sentence in said
    number = int(said.removeprefix(f"{path}:").split(":")[0])
    assert (line or "") in path.read_text().splitlines()[number - 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist; paths are relative to the world file"),
        (b"hello", "is not an image"),
        (b"\x89PNG\r\n\x1a\n" + 40 * b"\0", "is not an image"),
        ("huge", "is larger than 4096 pixels a side"),
        ("cut", "is damaged"),
        ("heavy", "is larger than 16 MiB"),
    ],
)
def test_a_texture_that_cannot_be_used_is_refused(
    write: Write, tmp_path: Path, content: str | bytes | None, sentence: str
) -> None:
    image = tmp_path / "moss.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    if content == "huge":
        cv2.imwrite(str(image), np.zeros((2, 4097, 3), np.uint8))
    elif content == "cut":
        image.write_bytes(cv2.imencode(".png", noise)[1].tobytes()[:60])
    elif content == "heavy":
        with image.open("wb") as file:
            file.truncate((16 << 20) + 1)
    elif isinstance(content, bytes):
        image.write_bytes(content)
    said = refusal(write("ground", "textures", value=[{"file": "moss.png"}]))
    assert sentence in said
    assert "mine.yaml:4: ground.textures.0.file: the " in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has 0 triangles; 1 to 20000 can be built"),
        ("v 0 0 0\nv 1 0 0\n", "has 0 triangles"),
        ("v 1 2\n", "line 1: expected 3 numbers below a million, found '1 2'"),
        ("v 1 2 nan\n", "line 1: expected 3 numbers below a million"),
        ("v a b c\n", "line 1: could not convert string to float: 'a'"),
        ("v 0 0 0\nf 1 2 3\n", "line 2: vertex 2 is not among the 1 before it"),
        (TETRAHEDRON + "f 1/1 2/1 3/1\n", "texture coordinate 1 is not among the 0 before it"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "needs a height along z and a width across it"),
        ("v 0 0 0\nv 0 0 1\nv 0 0 2\nf 1 2 3\n", "needs a height along z and a width across it"),
        ("v 0 0 0\nv 1 0 1\nv 2 0 2\nf 1 2 3\n", "has no triangle with an area"),
        ("v 0 0 0\nv 1 0 1\nv 0 1 0\n" + 20001 * "f 1 2 3\n", "has 20001 triangles"),
    ],
)
def test_a_mesh_that_cannot_be_built_is_refused(
    write: Write, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "rock.obj").write_text(text)
    mesh = {"kind": "mesh", "file": "rock.obj", "count": [1, 2], "height": [1, 2]}
    said = refusal(write("objects", 0, value=mesh))
    assert sentence in said
    assert "objects.0.file: the mesh " in said


def test_an_unknown_world_is_answered_with_the_nearest() -> None:
    assert "world 'fores' not found; did you mean 'forest'?" in refusal("fores")


def test_a_world_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "none.yaml does not exist" in refusal(tmp_path / "none.yaml")
    assert "does not exist" in refusal(tmp_path)
    assert "does not exist" in refusal("a" * 5000 + "/b.yaml")


# Colours

shares = st.floats(0.0, 1.0)
colors = st.tuples(shares, shares, shares)


@given(st.lists(colors.filter(lambda c: not is_target_red(c)), min_size=1, max_size=4), st.integers(0, 2**32))
def test_no_palette_that_is_allowed_gives_a_markers_red(
    palette: list[tuple[float, float, float]], seed: int
) -> None:
    assert not is_target_red(draw_color(palette, np.random.default_rng(seed)))


@given(st.integers(0, 2**32))
def test_any_colour_is_any_but_a_markers_red(seed: int) -> None:
    assert not is_target_red(draw_color("any", np.random.default_rng(seed)))


@pytest.mark.parametrize("color", [(0.9, 0.1, 0.1), (0.8, 0.05, 0.2), (0.5, 0.1, 0.05), (1.0, 0.2, 0.1)])
def test_saturated_red_is_the_markers(color: tuple[float, float, float]) -> None:
    assert is_target_red(color)


@pytest.mark.parametrize("color", [(0.9, 0.6, 0.6), (0.25, 0.05, 0.05), (0.9, 0.5, 0.1), (0.5, 0.35, 0.2)])
def test_pale_dark_and_orange_are_anyones(color: tuple[float, float, float]) -> None:
    assert not is_target_red(color)


def test_a_new_world_is_in_order_and_carries_its_files_name(tmp_path: Path) -> None:
    path = tmp_path / "yard.yaml"
    assert New(path)() == 0
    assert load_world(str(path)).name == "yard"
    assert Check(str(path), draws=3)() == 0
    assert "NAME" not in path.read_text()
    with pytest.raises(InputError, match="exists"):
        New(path)()


def test_what_a_new_world_only_mentions_can_be_had_too(tmp_path: Path) -> None:
    path = tmp_path / "yard.yaml"
    New(path)()
    text = path.read_text()
    for mentioned in ("terrain: {", "- {kind: lamp"):
        assert f"  # {mentioned}" in text
        text = text.replace(f"  # {mentioned}", f"  {mentioned}")
    path.write_text(
        text.replace("light: {", "light: {level: [0.1, 0.3], ").replace("clouds:", "glow: [0, 0.6], clouds:")
    )
    assert Check(str(path), draws=3)() == 0
    world = load_world(path)
    assert world.ground.terrain is not None
    assert any(kind.lamp for kind in world.objects)
    assert (world.light.level, world.sky.glow) == ((0.1, 0.3), (0.0, 0.6))


@pytest.mark.parametrize(
    ("name", "sentence"), [("yard.txt", "ends in .yaml"), ("a yard.yaml", "is made of letters")]
)
def test_a_name_that_no_world_can_have_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        New(tmp_path / name)()
    assert not list(tmp_path.iterdir())
