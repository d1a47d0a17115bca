"""The wheel: three packages under one name, their data, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
WINGS = {"navstack": "navstack", "envs": "navstack/envs", "policies": "navstack/policies"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays as it is."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*WINGS, "scripts", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index",
         "--wheel-dir", str(target), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    (path,) = target.glob("navstack-*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_three_packages_and_nothing_else(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in WINGS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected


def test_the_wheel_carries_licence_and_program(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    entry_points = next(name for name in names if name.endswith("entry_points.txt"))
    assert "navstack = navstack.cli:main" in archive.read(entry_points).decode()


def test_a_folder_of_the_users_own_named_envs_is_never_imported(wheel: Path, tmp_path: Path) -> None:
    installed, work = tmp_path / "installed", tmp_path / "work"
    zipfile.ZipFile(wheel).extractall(installed)
    for name in ("envs", "policies"):
        (work / name).mkdir(parents=True)
        (work / name / "__init__.py").write_text("raise SystemExit('the decoy was imported')\n")
    code = (
        "import navstack.envs, navstack.policies; print(navstack.envs.__file__, navstack.policies.__file__)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=work, env={"PYTHONPATH": str(installed), "PATH": ""},
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert [Path(name).parent for name in found] == [
        installed / "navstack/envs",
        installed / "navstack/policies",
    ]


ABSENT = ("torch", "pybullet", "gymnasium", "mcap", "zstandard", "lz4")  # onboard
OLDEST = ("onnxruntime==1.18.0", "numpy==1.26.4", "opencv-python==4.9.0.80")
STEPS = """
import sys
import numpy as np, onnxruntime
from navstack.policy import OnnxPolicy

assert len(sys.argv) < 2 or onnxruntime.__version__ == sys.argv[1], onnxruntime.__version__
policy = OnnxPolicy.load("fly-to-target")
rng = np.random.default_rng(0)
for _ in range(50):
    command = policy.step(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8), 0.05)
    print(*command.as_array().tolist())
"""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="onnxruntime 1.18.0 has no wheel for Python 3.13")
def test_onboard_it_steps_alike_with_the_oldest_onnxruntime_and_without_torch(
    wheel: Path, tmp_path: Path
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", str(wheel), *OLDEST], check=True, timeout=300)
    absent = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    assert output(python, "-c", absent, cwd=tmp_path).strip() == "[]"
    assert "FlyToTarget" in output(python, "-m", "navstack", "inspect", "fly-to-target", cwd=tmp_path)
    old = np.loadtxt(output(python, "-c", STEPS, "1.18.0", cwd=tmp_path).splitlines())
    new = np.loadtxt(output(sys.executable, "-c", STEPS, cwd=ROOT).splitlines())
    assert old.shape == (50, 4)
    assert np.abs(old - new).max() < 1e-4  # white noise, where the newest differs from torch by up to 4e-5


def output(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
