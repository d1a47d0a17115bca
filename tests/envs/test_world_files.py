"""Images and meshes that a world file names: beside it, in an installed package, with their own materials."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from navstack.envs.navigation import NavigationEnv
from navstack.envs.worlds.obj import read_materials, read_obj
from navstack.envs.worlds.spec import describe_world, is_target_red, load_world, world_names
from navstack.envs.worlds.textures import image_texture, mute_red, tinted
from navstack.errors import InputError

CUBE = """mtllib cube.mtl
v -1 0 -1\nv 1 0 -1\nv 1 0 1\nv -1 0 1\nv -1 3 -1\nv 1 3 -1\nv 1 3 1\nv -1 3 1
vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1
usemtl sides
f 1/1 2/2 6/3 5/4\nf 2/1 3/2 7/3 6/4\nf 3/1 4/2 8/3 7/4\nf 4/1 1/2 5/3 8/4
usemtl top
f 5 6 7 8
"""
MTL = "newmtl sides\nKd 0.1 0.8 0.2\nnewmtl top\nKd 0.2 0.2 0.9\nmap_Kd -s 1 1 1 top.png\n"
MESH: dict[str, Any] = {
    "kind": "mesh", "file": "cube.obj", "up": "y", "materials": True, "count": [40, 60],
    "height": [1.5, 2.5], "width": [1, 2],
}  # fmt: skip
WORLD: dict[str, Any] = {
    "name": "mine",
    "ground": {"textures": [{"family": "plain", "colors": [[0.5, 0.5, 0.5]]}]},
    "sky": {"zenith": [[0.5, 0.5, 0.5]], "horizon": [[0.5, 0.5, 0.5]], "clouds": [0, 0]},
    "objects": [MESH],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mesh with two materials, one of them with a picture that is blue below and white above."""
    (tmp_path / "cube.obj").write_text(CUBE)
    (tmp_path / "cube.mtl").write_text(MTL)
    picture = np.full((8, 8, 3), 255, np.uint8)
    picture[4:] = (220, 40, 40)  # BGR
    cv2.imwrite(str(tmp_path / "top.png"), picture)
    return tmp_path


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(WORLD) | changes, sort_keys=False))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_world(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Meshes


def test_a_mesh_is_parted_by_material_and_stands_up(folder: Path) -> None:
    parts = {part.name: part.mesh for part in read_obj(folder / "cube.obj", "y")}
    assert {name: len(mesh.faces) for name, mesh in parts.items()} == {"sides": 8, "top": 2}
    assert parts["top"].vertices[:, 2] == pytest.approx(np.ones(6))
    assert parts["top"].normals == pytest.approx(np.tile((0.0, 0.0, 1.0), (6, 1)), abs=1e-9) or (
        parts["top"].normals == pytest.approx(np.tile((0.0, 0.0, -1.0), (6, 1)), abs=1e-9)
    )
    assert parts["sides"].vertices[:, 2].min() == pytest.approx(0.0)
    assert {tuple(uv) for uv in parts["sides"].uvs.tolist()} == {(0, 1), (1, 1), (1, 0), (0, 0)}


@given(st.floats(-50.0, 50.0), st.floats(-50.0, 50.0))
def test_texture_coordinates_stay_in_the_picture_wherever_they_begin(u: float, v: float) -> None:
    from navstack.envs.worlds.obj import _part

    faces = np.array([[(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]])
    uvs = np.array([[(u, v), (u + 0.4, v), (u, v + 0.4)]])
    mesh = _part(faces, uvs, np.array([(0.0, 1.0, 0.0)]))
    assert mesh.uvs.min() >= 0.0
    assert mesh.uvs.max() <= 1.0
    assert np.ptp(mesh.uvs, axis=0).max() > 0.1  # not torn to the other edge and not a single pixel


def test_materials_have_their_colour_and_their_picture(folder: Path) -> None:
    materials = read_materials(folder / "cube.obj")
    assert materials["sides"].color == (0.1, 0.8, 0.2)
    assert materials["sides"].image is None
    assert materials["top"].image == folder / "top.png"


def test_a_mesh_stands_in_the_picture_in_its_own_materials(folder: Path) -> None:
    environment = NavigationEnv(world=written(folder), purpose="evaluate")
    greens = []
    for seed in range(6):
        image = environment.reset(seed=seed)[0]["image"].astype(int)
        greens.append(((image[..., 1] > 2 * image[..., 0]) & (image[..., 1] > 2 * image[..., 2])).mean())
    environment.close()
    assert np.median(greens) > 0.005


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("cube.mtl", None, "names the material file"),
        ("cube.mtl", "newmtl sides\nKd 0 1 0\n", "uses the material 'top', which"),
        (
            "cube.mtl",
            MTL.replace("0.8", "green"),
            "line 2: could not convert string to float",
        ),
        ("cube.mtl", MTL.replace("top.png", "gone.png"), "line 5: the texture"),
        ("top.png", "no picture", "is not an image"),
        ("cube.obj", CUBE.replace("mtllib cube.mtl\n", ""), "names no material file"),
        ("cube.obj", CUBE.replace("usemtl sides\n", ""), "has faces before its first material"),
    ],
)
def test_materials_that_cannot_be_used_are_refused(
    folder: Path, name: str, text: str | None, sentence: str
) -> None:
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    said = refusal(written(folder))
    assert sentence in said
    assert ": objects.0.file: the " in said


@pytest.mark.parametrize("name", ["cube.obj", "cube.mtl", "top.png"])
def test_a_file_that_is_gone_since_is_named_and_the_world_can_be_flown_when_it_is_back(
    folder: Path, name: str
) -> None:
    environment = NavigationEnv(world=written(folder), purpose="evaluate", camera=False)
    environment.reset(seed=0)
    kept = (folder / name).read_bytes()
    (folder / name).unlink()
    with pytest.raises(InputError, match="can no longer be read; it could when its world was loaded"):
        environment.reset(seed=1)
    (folder / name).write_bytes(kept)
    environment.reset(seed=1)
    *_, info = environment.step(np.zeros(4, np.float32))
    assert "outcome" not in info
    environment.close()


@pytest.mark.parametrize("name", ["cube.stl", "cube.dae", "cube.glb", "cube"])
def test_only_obj_files_are_meshes(folder: Path, name: str) -> None:
    (folder / name).write_text("solid cube\n")
    said = refusal(written(folder, objects=[MESH | {"file": name}]))
    assert "is not a Wavefront OBJ file (.obj), the only kind that is read" in said


def test_materials_belong_to_meshes(folder: Path) -> None:
    tree = {"kind": "tree", "count": [1, 2], "height": [2, 3], "materials": True}
    assert "belong to kind 'mesh'" in refusal(written(folder, objects=[tree]))


# Files of installed packages


def test_a_file_of_an_installed_package_is_found_without_importing_it(folder: Path) -> None:
    texture = {"file": "package:matplotlib/mpl-data/sample_data/logo2.png"}
    world = load_world(written(folder, ground={"textures": [texture]}))
    assert (world.ground.textures[0].file or "").endswith("sample_data/logo2.png")


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (
            "package:no_such_package/a.png",
            "'no_such_package' is not installed; install it: pip",
        ),
        ("package:matplotlib/a.png", "the installed package 'matplotlib' has no file a.png"),
        ("package:matplotlib", "must be package:NAME/path/in/it"),
        ("package:../etc/a.png", "must be package:NAME/path/in/it"),
    ],
)
def test_a_file_of_a_package_that_is_not_there_is_named(folder: Path, file: str, sentence: str) -> None:
    assert sentence in refusal(written(folder, ground={"textures": [{"file": file}]}))


def test_the_library_is_listed_without_the_packages_of_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("navstack.envs.worlds.files.find_spec", lambda name: None)
    assert "photo" in world_names("held-out")
    assert describe_world("photo").split == "held-out"
    with pytest.raises(InputError, match=r"'skimage' is not installed; install it: pip install scikit-image"):
        load_world("photo")


# Pictures


@given(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)))
def test_no_picture_has_a_markers_red(color: tuple[float, float, float]) -> None:
    picture = np.full((2, 2, 3), np.rint(255.0 * np.array(color)), dtype=np.uint8)
    muted = mute_red(picture)[0, 0]
    assert not is_target_red(tuple((muted / 255.0).tolist()))
    if color[0] <= max(color[1:]):
        assert (mute_red(picture) == picture).all()


def test_a_crop_is_the_part_that_it_names(tmp_path: Path) -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[20:, 40:] = (0, 200, 0)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    assert (image_texture(str(tmp_path / "a.png"), 16, (0.5, 0.5, 1.0, 1.0))[..., 1] == 200).all()
    assert (image_texture(str(tmp_path / "a.png"), 16, (0.0, 0.0, 0.5, 0.5)) == 0).all()


def test_a_tint_keeps_light_and_dark_and_takes_the_colour() -> None:
    picture = np.full((4, 4, 3), 60, np.uint8)
    picture[:2] = 120
    found = tinted(picture, (0.3, 0.5, 0.2)) / 255.0
    assert found.reshape(-1, 3).mean(axis=0) == pytest.approx([0.3, 0.5, 0.2], abs=0.01)
    assert found[0, 0] == pytest.approx(2.0 * found[3, 3], abs=0.01)


@pytest.mark.parametrize("crop", [[0.5, 0, 0.5, 1], [0.8, 0, 0.2, 1], [0, 0.9, 1, 0.1]])
def test_a_crop_without_an_extent_is_refused(folder: Path, crop: list[float]) -> None:
    said = refusal(written(folder, ground={"textures": [{"file": "top.png", "crop": crop}]}))
    assert "must be [left, top, right, bottom]" in said
