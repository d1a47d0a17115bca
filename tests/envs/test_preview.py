"""`navstack worlds`: the list, contact sheets, the schema, and what it says of bad files."""

import json

import cv2
import numpy as np
import pytest
import tyro

from navstack.envs.commands.worlds import Worlds
from navstack.envs.navigation import NavigationEnv
from navstack.envs.worlds.preview import draw_world, write_previews
from navstack.envs.worlds.spec import load_world, world_names
from navstack.errors import InputError

WORLD = """\
name: heath
description: heather and nothing else
ground: {textures: [{family: plain, colors: [[0.4, 0.3, 0.4]]}]}
sky:
  zenith: [[0.3, 0.4, 0.7]]
  horizon: [[0.7, 0.7, 0.8]]
"""


def worlds(*arguments):
    return tyro.cli(Worlds, args=list(map(str, arguments)))()


@pytest.fixture
def heath(tmp_path):
    path = tmp_path / "heath.yaml"
    path.write_text(WORLD)
    return path


def test_every_world_of_the_library_is_listed_with_its_split(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert worlds() == 0
    printed = capsys.readouterr().out
    assert worlds("list") == 0
    assert capsys.readouterr().out == printed
    for name in world_names():
        line = next(line for line in printed.splitlines() if f" {name} " in line)
        assert load_world(name).split in line


def test_preview_writes_a_sheet_for_each_world_and_an_overview(heath, tmp_path, capsys):
    out = tmp_path / "sheets"
    assert worlds("preview", "meadow", heath, "--out", out, "--draws", "3", "--seed", "7") == 0
    assert sorted(path.name for path in out.iterdir()) == ["heath.png", "meadow.png", "overview.png"]
    assert str(out / "heath.png") in capsys.readouterr().out
    for name in ("heath", "meadow"):
        # Two columns of a policy frame (5 x 96) beside a chase view (576), two rows for three draws.
        assert cv2.imread(str(out / f"{name}.png")).shape == (
            64 + 2 * (320 + 36),
            10 + 2 * (480 + 576 + 10),
            3,
        )
    assert cv2.imread(str(out / "overview.png")).shape == (64 + 320 + 36, 10 + 2 * (576 + 10), 3)


def test_a_sheet_shows_the_policys_frame_pixel_by_pixel(heath, tmp_path):
    write_previews([str(heath)], tmp_path / "sheets", seed=3, draws=1)
    sheet = cv2.cvtColor(cv2.imread(str(tmp_path / "sheets" / "heath.png")), cv2.COLOR_BGR2RGB)
    environment = NavigationEnv(world=heath, purpose="evaluate")
    observation, _ = environment.reset(seed=3)
    environment.close()
    np.testing.assert_array_equal(sheet[64 + 2 : 64 + 320 : 5, 10 + 2 : 10 + 480 : 5], observation["image"])


def test_the_same_seed_draws_the_same(heath):
    (first,), (second,) = draw_world(str(heath), [5]), draw_world(str(heath), [5])
    np.testing.assert_array_equal(first.chase, second.chase)
    np.testing.assert_array_equal(first.frame, second.frame)


def test_a_folder_that_holds_anything_is_refused_and_left_alone(heath, tmp_path):
    out = tmp_path / "sheets"
    out.mkdir()
    (out / "heath.png").write_text("mine")
    with pytest.raises(InputError, match=r"sheets exists and is not empty"):
        worlds("preview", heath, "--out", out)
    assert (out / "heath.png").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["meadwo"], "world 'meadwo' not found; did you mean 'meadow'"),
        (["meadow", "meadow"], "two of the worlds are named 'meadow'"),
        (["meadow", "--draws", "0"], "0 draws make no sheet"),
    ],
)
def test_nothing_is_written_when_the_arguments_are_wrong(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        worlds("preview", *arguments, "--out", tmp_path / "sheets")
    assert not (tmp_path / "sheets").exists()


def test_the_schema_names_every_section(capsys):
    assert worlds("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"ground", "sky", "light", "fog", "objects", "targets", "wind"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_check_accepts_a_good_file(heath, capsys):
    assert worlds("check", heath) == 0
    assert "'heath' (held-out) is in order" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("fog: {density: [0.0, 5.0]}\n", r"heath\.yaml:7: fog\.density"),
        ("fogg: {}\n", r"heath\.yaml:7: fogg"),
        ("wind: [1, 2\n", r"heath\.yaml:\d+: not YAML"),
        ("objects: [{kind: house, height: [6, 8], count: [400, 400]}]\n", "'house'.*only"),
    ],
)
def test_check_says_what_is_wrong_and_where(heath, added, message):
    heath.write_text(WORLD + added)
    with pytest.raises(InputError, match=message):
        worlds("check", heath)


def test_things_have_the_colour_that_the_file_gives_them(heath):
    heath.write_text(
        WORLD
        + "light: {ambient: [0.8, 0.8], diffuse: [0.2, 0.2]}\n"
        + "objects:\n"
        + "  - {kind: crate, count: [40, 40], height: [1.5, 2.5], colors: [[0.1, 0.1, 0.9]]}\n"
        + "  - {kind: rock, count: [1, 1], height: [0.2, 0.3], colors: [[0.1, 0.9, 0.1]]}\n"
    )
    for draw in draw_world(str(heath), range(4)):
        red, green, blue = draw.frame[20:].astype(int).reshape(-1, 3).T
        assert ((blue > 120) & (red < 60) & (green < 60)).sum() > 20  # crates
        # Nothing but heather, crates, the rock and the marker: no grey of an unpainted tile.
        grey = (abs(red - green) < 4) & (abs(green - blue) < 4)
        assert grey.mean() < 0.01
