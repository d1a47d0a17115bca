"""Which part may know which: read from every import, and tried with the other parts' packages taken away."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from navstack.card import card_to_json
from navstack.contract import CameraSpec, PolicyCard
from navstack.replay import read_log

ROOT = Path(__file__).parents[1]
FOLDERS = {"navstack": "navstack", "navstack.envs": "envs", "navstack.policies": "policies"}
MAY_NOT_IMPORT = {
    "navstack": ("navstack.envs", "navstack.policies", "envs", "policies"),
    "navstack.envs": ("navstack.policies", "envs", "policies"),
    "navstack.policies": ("navstack.envs", "envs", "policies"),
}
EXTRAS = {"navstack": (), "navstack.envs": ("sim",), "navstack.policies": ("train", "sim")}
MORE_EXTRAS = {
    "navstack/autopilot/mavlink": ("mavlink",),
    "envs/faults": ("mavlink",),
    "envs/sitl": ("mavlink",),
    "envs/view": ("view",),
    "policies/cells/compiled": ("fast",),
    "policies/tuning": ("tune",),
}  # folders that need more
IMPORT_NAMES = {  # of distributions whose import name is another
    "opencv_python": "cv2", "pyyaml": "yaml", "pillow": "PIL", "pyserial": "serial", "rerun_sdk": "rerun",
    "protobuf": "google",
}  # fmt: skip
HEAVY = (
    "torch",
    "gymnasium",
    "pybullet",
    "onnx",
    "onnxscript",
    "pydantic",
    "yaml",
    "matplotlib",
    "jinja2",
    "PIL",
    "pymavlink",
    "serial",
    "mcap",
    "zstandard",
    "lz4",
)

TAKEN_AWAY = f"""
import sys
class Without:
    def __init__(self, finders):
        self.finders = finders
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)
    def find_distributions(self, *arguments):
        for finder in self.finders:
            yield from getattr(finder, "find_distributions", lambda *_: ())(*arguments)
sys.meta_path[:] = [Without(tuple(sys.meta_path))]
"""


def files(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / FOLDERS[package]).rglob("*.py") if "__pycache__" not in p.parts)


def imports(node: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Names of the modules that a piece of code imports; `from a import b` may mean a.b."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute: a folder has another name than its package"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        elif inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(child, inside_functions=inside_functions)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def distributions(extras: tuple[str, ...]) -> set[str]:
    """Import names of what a package may count on: the base dependencies and these extras."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for e in extras for d in project["optional-dependencies"][e])]
    names = {re.split(r"[\s\[<>=!~;]", requirement)[0].lower().replace("-", "_") for requirement in wanted}
    brought = {"jinja2": "markupsafe", "numba": "llvmlite"}
    names |= {with_it for name, with_it in brought.items() if name in names}
    return {IMPORT_NAMES.get(name, name) for name in names}


@pytest.mark.parametrize("package", FOLDERS)
def test_no_part_imports_what_it_may_not_know(package: str) -> None:
    for path in files(package):
        for name in imports(ast.parse(path.read_text()), inside_functions=True):
            for forbidden in MAY_NOT_IMPORT[package]:
                assert not within(name, forbidden), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("package", FOLDERS)
def test_what_a_part_imports_at_once_comes_with_its_extra(package: str) -> None:
    always = {"navstack"} | set(sys.stdlib_module_names)
    for path in files(package):
        more = MORE_EXTRAS.get(path.parent.relative_to(ROOT).as_posix(), ())
        allowed = distributions(EXTRAS[package] + more) | always
        for name in imports(ast.parse(path.read_text()), inside_functions=False):
            assert name.partition(".")[0] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_no_file_is_longer_than_one_reads_in_a_sitting() -> None:
    lengths = {path: len(path.read_text().splitlines()) for package in FOLDERS for path in files(package)}
    assert {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length >= 400} == {}


def python(code: str, cwd: Path, *arguments: str) -> str:
    """What a fresh Python prints that finds none of the heavy packages."""
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_AWAY + code, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that always says (0.5, 0, 0, 0.1)."""
    node, info = helper.make_node, helper.make_tensor_value_info
    constant = helper.make_tensor("constant", TensorProto.FLOAT, [1, 4], [0.5, 0.0, 0.0, 0.1])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1, 4], [0.0] * 4)
    graph = helper.make_graph(
        [node("Mul", ["dt", "zero"], ["none"]), node("Add", ["none", "constant"], ["command"]),
         node("Identity", ["state"], ["next_state"])],
        "constant",
        [info("image", TensorProto.UINT8, ("N", 64, 96, 3)), info("dt", TensorProto.FLOAT, ("N", 1)),
         info("state", TensorProto.FLOAT, ("N", 1))],
        [info("command", TensorProto.FLOAT, ("N", 4)), info("next_state", TensorProto.FLOAT, ("N", 1))],
        [constant, zero],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    card = PolicyCard("FlyToTarget", ("chair",), "constant", "none", 1, 0, 0, 0, 0, 0, camera=CameraSpec())
    model.metadata_props.add(key="navstack", value=card_to_json(card))
    path = tmp_path / "policy.onnx"
    onnx.save_model(model, str(path))
    return path


def test_a_policy_is_stepped_where_nothing_but_the_base_is_installed(policy: Path, tmp_path: Path) -> None:
    code = """
import numpy as np
import navstack
from navstack.policy import OnnxPolicy
policy = OnnxPolicy.load(sys.argv[1])
print(policy.step(np.zeros((64, 96, 3), np.uint8), 0.05).as_array().tolist())
"""
    assert [round(float(v), 6) for v in ast.literal_eval(python(code, tmp_path, str(policy)))] == [
        0.5,
        0,
        0,
        0.1,
    ]


def test_inspect_runs_where_nothing_but_the_base_is_installed(policy: Path, tmp_path: Path) -> None:
    code = "from navstack.cli import main; sys.argv[1:] = ['inspect', sys.argv[1]]; sys.exit(main())"
    assert "FlyToTarget: chair" in python(code, tmp_path, str(policy))


def test_every_module_of_the_ground_floor_imports_where_nothing_but_the_base_is_installed(
    tmp_path: Path,
) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in files("navstack")
        if path.name != "__main__.py" and path.parent.relative_to(ROOT).as_posix() not in MORE_EXTRAS
    ]
    code = "import importlib\nfor name in sys.argv[1:]: print(importlib.import_module(name).__name__)"
    assert python(code, tmp_path, *modules).split() == modules


def test_the_wings_and_their_commands_are_listed_where_nothing_but_the_base_is_installed(
    tmp_path: Path,
) -> None:
    code = "from navstack.cli import help_text; import navstack.envs, navstack.policies; print(help_text())"
    assert "navstack[sim]" in python(code, tmp_path)


def test_a_log_is_written_where_nothing_but_the_base_is_installed_and_to_read_one_names_the_extra(
    policy: Path, tmp_path: Path
) -> None:
    code = """
from pathlib import Path
from navstack.cli import run
from navstack.contract import Frame, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.flight import Tick
from navstack.policy import OnnxPolicy
from navstack.recorder import FlightRecorder
from navstack.replay import read_log
import numpy as np

policy = OnnxPolicy.load(sys.argv[1])
state = VehicleState(0.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
recorder = FlightRecorder(Path("flight.mcap"), policy.card)
for turn in range(100):
    image = np.full((64, 96, 3), turn, np.uint8)
    command = policy.step(image, 0.05)
    recorder(Tick(0.05 * turn, Frame(image, 0.05 * turn), 0.05, command, command, state, ()))
recorder.close()
for read in (lambda: run(["replay", "flight.mcap"]), lambda: read_log(Path("flight.mcap"))):
    try:
        read()
    except (InputError, ModuleNotFoundError) as error:
        print(error)
"""
    assert python(code, tmp_path, str(policy)).splitlines() == [
        "'replay' needs the package 'mcap', which is not installed; pip install 'navstack[log]'",
        "reading a flight log needs the package 'mcap'; pip install 'navstack[log]'",
    ]
    turns = read_log(tmp_path / "flight.mcap").turns
    assert [turn.frame.image[0, 0, 0] for turn in turns if turn.frame is not None] == list(range(100))


def test_a_users_own_folders_named_envs_and_policies_are_not_ours(tmp_path: Path) -> None:
    for name in ("envs", "policies"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the decoy was imported')")
    code = (
        "import gymnasium, sys, navstack.envs.navigation, navstack.policies.wiring;"
        "gymnasium.make('navstack.envs:navstack/FlyToTarget-v0').close();"
        "print('envs' in sys.modules, 'policies' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "False False\n"), done.stderr
