"""The page on adding a task: its code runs as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks import TASKS
from navstack.errors import InputError
from navstack.results import SUCCESS

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-task.md"
NAME = "navstack.envs.tasks.orbit"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def orbit(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's task file as a module, in the registry and registered for as long as the test runs."""
    module = ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, module)
    exec(compile(blocks()[0], str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(TASKS, "Orbit", module.Orbit)
    gymnasium.register(
        "navstack/Orbit-v0", "navstack.envs.navigation:NavigationEnv", kwargs={"task": "Orbit"}
    )
    yield module
    del gymnasium.registry["navstack/Orbit-v0"]


def test_the_page_says_where_a_task_is_registered() -> None:
    text, tasks = PAGE.read_text(), PAGE.parents[1] / "envs" / "tasks" / "__init__.py"
    assert f"from {NAME} import Orbit" in text
    assert "TASKS: dict[str, type[Task]]" in tasks.read_text()
    assert len(blocks()) == 3


@pytest.mark.filterwarnings("ignore:.*recommend using a symmetric and normalized space.*")
def test_gymnasium_finds_nothing_wrong(orbit: ModuleType) -> None:
    environment = NavigationEnv(task="Orbit")
    check_env(environment, skip_render_check=True)
    environment.close()
    with pytest.raises(InputError, match=r"Orbit's turn is 30; it must be between 45 and 360"):
        NavigationEnv(task="Orbit", turn="30")


def test_its_example_flies_to_success(orbit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks()[1], str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "success 1.0\n"


def test_its_tests_pass(orbit: ModuleType) -> None:
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(blocks()[2], str(PAGE), "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        assert callable(test)
        test()


def test_its_pilot_flies_whole_turns_in_a_hilly_world(orbit: ModuleType) -> None:
    environment = NavigationEnv(task="Orbit", world="hills", purpose="evaluate", camera=False, turn=360.0)
    _, info = environment.reset(seed=1)
    nearest, farthest = np.inf, 0.0
    while "outcome" not in info:
        *_, info = environment.step(info["expert_command"])
        if info["fraction"] > 0.0:
            x, y, _ = info["state"].position_enu
            away = float(np.hypot(x - environment.simulator.judge.target_enu[0],
                                  y - environment.simulator.judge.target_enu[1]))  # fmt: skip
            nearest, farthest = min(nearest, away), max(farthest, away)
    environment.close()
    assert info["outcome"] == SUCCESS
    assert 3.0 < nearest < farthest < 6.1
