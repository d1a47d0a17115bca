"""The scripts of the checkout: they parse, answer, refuse politely, and agree with the project's metadata."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SHELL = ["scripts/setup", "scripts/demo", "scripts/test", "scripts/typecheck", ".ci/run"]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> dict[str, str]:
    """Canonical name to version, for each line of constraints.txt."""
    lines = [line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            assert canonical(name) not in found, f"{name} is pinned twice"
            found[canonical(name)] = version
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> dict[str, tuple[int, ...]]:
    """Canonical name to lowest version, for each requirement of ours and each extra's."""
    table = project()["project"]
    texts = table["dependencies"] + [
        text for extra in table["optional-dependencies"].values() for text in extra
    ]
    found = {}
    for text in texts:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?(?:>=([0-9.]+))?", text)
        assert match, f"{text}: a requirement stays open upwards, constraints.txt pins it"
        if match[1] != "navstack":
            found[canonical(match[1])] = numbers(match[2] or "0")
    return found


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0]))


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("path", SHELL)
def test_shell_scripts_parse_and_can_be_run(path: str) -> None:
    assert run("bash", "-n", path).stderr == ""
    assert os.access(ROOT / path, os.X_OK)
    assert (ROOT / path).read_text().startswith("#!/usr/bin/env bash\n")


@pytest.mark.parametrize("path", ["scripts/setup", "scripts/demo", "scripts/test"])
def test_help_answers_without_doing_anything(path: str) -> None:
    for flag in ("--help", "-h"):
        answer = run(path, flag)
        assert answer.returncode == 0
        assert answer.stdout.startswith(f"usage: {path}")
        assert answer.stderr == ""


def test_every_dependency_is_pinned_to_a_version_that_it_allows() -> None:
    pinned = pins()
    for name, lowest in requirements().items():
        assert name in pinned, f"constraints.txt does not pin {name}"
        assert numbers(pinned[name]) >= lowest
    for name in ("torch", "ncps", "setuptools", "wheel"):  # what the set-up installs by itself
        assert name in pinned
    assert pinned["torch"] == "2.13.0"  # no +cpu: the same file serves every build


def test_the_ground_floor_needs_neither_torch_nor_a_simulator() -> None:
    needed = {canonical(re.split(r"[<>=\[]", text)[0]) for text in project()["project"]["dependencies"]}
    assert not needed & {"torch", "pybullet", "gymnasium", "matplotlib", "jinja2", "pydantic"}


def test_ci_runs_the_test_script() -> None:
    assert re.search(r"^exec .*/scripts/test\"?$", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE)


def test_a_python_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    for name in ("scripts/setup", "constraints.txt", "pyproject.toml"):
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    answer = run("bash", str(checkout / "scripts/setup"), PYTHON=str(old))
    assert answer.returncode == 1
    assert "not Python 3.11 to 3.13" in answer.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("files", "words", "message"),
    [
        (["index.html", "policy.onnx"], [], "holds a finished demo"),
        (["notes.txt"], [], "is no interrupted demo"),
        ([".demo/mode"], ["--pretrained"], "of the other kind"),
    ],
)
def test_the_demo_leaves_what_it_finds_alone(
    tmp_path: Path, files: list[str], words: list[str], message: str
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("trained")
    answer = run("scripts/demo", "--out", str(tmp_path), *words)
    assert answer.returncode == 1
    assert message in answer.stderr
    assert answer.stdout == ""
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == sorted(files)


def test_an_unknown_argument_of_the_demo_is_refused() -> None:
    answer = run("scripts/demo", "--pretraind")
    assert answer.returncode == 1
    assert "unknown argument --pretraind" in answer.stderr


def test_the_download_is_counted_before_it_happens(tmp_path: Path) -> None:
    wheel = tmp_path / "torch one.whl"
    wheel.write_bytes(bytes(3_000_000))
    report = {
        "install": [
            {"metadata": {"name": "torch", "version": "2.13.0"}, "download_info": {"url": wheel.as_uri()}},
            {"metadata": {"name": "nvidia-cublas", "version": "1"}, "download_info": {"url": wheel.as_uri()}},
        ]
    }
    answer = subprocess.run(
        [sys.executable, "scripts/download_size.py"], cwd=ROOT, input=json.dumps(report),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "torch 2.13.0 and what it needs: 2 files, 6 MB to download" in answer.stdout
    assert "CPU build" in answer.stdout


def test_the_citation_agrees_with_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project()["project"]["version"]
    assert citation["license"] == project()["project"]["license"] == "MIT"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def test_pre_commit_uses_the_tools_of_the_environment() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]  # nothing is fetched
    hooks = {hook["id"]: hook for hook in config["repos"][0]["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "mypy"}
    assert all(hook["language"] == "system" for hook in hooks.values())
