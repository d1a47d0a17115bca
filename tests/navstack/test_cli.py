"""The program: what it lists, what it refuses and in which words, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import navstack
from navstack import plugins
from navstack.cli import run
from navstack.errors import InputError

MakePolicy = Callable[..., Path]
PROGRAM = [sys.executable, "-m", "navstack"]

ENTRY_POINTS = """
[navstack.commands]
toy-status = toy_commands:Status
toy-wait = toy_commands:Wait
toy-refuse = toy_commands:Refuse
toy-lines = toy_commands:Lines
toy-raise = toy_commands:Raise
toy-pool = toy_commands:Workers
toy-early = toy_needy:Early [sim]
toy-importing = toy_importing:Early
toy-extension = toy_extension:Early
toy-late = toy_commands:Late [sim,train]
toy-broken = toy_nowhere:Broken
toy-mistake = toy_commands:Mistake [sim]

[navstack.benchmarks]
toy-held = toy_commands:held
toy-missed = toy_commands:missed
toy-short = toy_commands:short
toy-needs = toy_needy:bench [view]
"""

COMMANDS = '''
import errno, multiprocessing, os, signal, time
from dataclasses import dataclass
from navstack.errors import InputError

@dataclass(frozen=True)
class Status:
    """Ends with a status.

    And more text, which the list leaves out.
    """

    status: int = 7
    """Status to end with."""

    def __call__(self) -> int:
        return self.status

@dataclass(frozen=True)
class Wait:
    """Waits for a signal."""

    def __call__(self) -> int:
        print("ready", flush=True)
        time.sleep(60)
        return 0

@dataclass(frozen=True)
class Refuse:
    """Refuses its input."""

    def __call__(self) -> int:
        raise InputError("world 'fores' not found;\\ndid you mean 'forest'?")

@dataclass(frozen=True)
class Lines:
    """Prints without end."""

    def __call__(self) -> int:
        while True:
            print("line " * 20)

@dataclass(frozen=True)
class Raise:
    """Raises what the system raises."""

    what: str
    """Name of the error number."""

    def __call__(self) -> int:
        raise OSError(getattr(errno, self.what), os.strerror(getattr(errno, self.what)), "out/r.bin")

@dataclass(frozen=True)
class Workers:
    """Ends workers that were forked."""

    def __call__(self) -> int:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(abs, range(4))
            pool.apply_async(time.sleep, (60,))
        return 0

@dataclass(frozen=True)
class Late:
    """Needs a package when it runs."""

    def __call__(self) -> int:
        import surely_not_installed.inside

@dataclass(frozen=True)
class Mistake:
    """Imports a module of its own package that is not there."""

    def __call__(self) -> int:
        import toy_commands.typing_error

def row(held):
    return {"what": "step", "value": 1.25, "unit": "ms", "against": "floor", "reference": 1.0, "ratio": 1.25,
            "budget": 1.3, "held": held}

def held():
    return [row(True), row(None) | {"ratio": None, "budget": None, "reference": None, "against": None}]

def missed():
    return [row(True), row(False)]

def short():
    return [{"what": "step", "value": 1.0}]
'''


INTERRUPTED = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
EXTENSION = """
try:
    import toy_importing
except KeyboardInterrupt:
    raise ImportError("numpy's C extension failed to import")
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package that brings commands and benchmarks."""
    folder = tmp_path_factory.mktemp("plugin")
    info = folder / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "toy_commands.py").write_text(COMMANDS)
    (folder / "toy_needy.py").write_text(
        'import surely_not_installed\n\nclass Early:\n    """Needs a package."""\n'
    )
    (folder / "toy_importing.py").write_text(INTERRUPTED)
    (folder / "toy_extension.py").write_text(EXTENSION)
    return folder


def environment(plugin: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(plugin), "COLUMNS": "120"}


def program(plugin: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(plugin),
        cwd=cwd or plugin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence on stderr of a command that refused its input."""
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line.removeprefix("navstack: error: ")


# -- what it lists


def test_help_lists_commands_in_groups_by_extra_without_importing_them(plugin: Path) -> None:
    done = program(plugin, "--help")
    assert done.returncode == 0
    sections = dict(section.split(":\n", 1) for section in done.stdout.split("\n\n") if ":\n" in section)
    assert "  inspect    Check a policy file and print its card." in sections["commands"].splitlines()
    assert "  toy-status Ends with a status." in sections["commands"].splitlines()
    assert "  toy-early  Needs a package." in sections["commands with navstack[sim]"].splitlines()
    assert (
        "  toy-late   Needs a package when it runs."
        in sections["commands with navstack[sim,train]"].splitlines()
    )
    assert "surely_not_installed" not in done.stderr


def test_every_command_of_ours_has_a_summary() -> None:
    for name, entry in plugins.find(plugins.COMMANDS).items():
        assert plugins.summary(entry), name


def test_help_imports_neither_simulator_nor_networks() -> None:
    code = (
        "import sys; from navstack.cli import help_text; help_text();"
        "heavy = ('numpy', 'gymnasium', 'torch', 'onnxruntime', 'tyro', 'rich');"
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "[]\n"


def test_without_arguments_it_explains_itself_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: navstack COMMAND" in captured.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"navstack {navstack.__version__}\n"


def test_a_commands_help_comes_from_its_dataclass(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(["inspect", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "usage: navstack inspect" in text
    assert "Path of a policy.onnx" in text


# -- what it refuses


def test_an_unknown_command_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no command 'inspekt'; did you mean 'inspect'"):
        run(["inspekt"])
    with pytest.raises(InputError, match=r"no command 'qqqq'; there are .*inspect, .*models"):
        run(["qqqq"])


def test_wrong_input_is_one_line_on_stderr(plugin: Path) -> None:
    assert refusal(program(plugin, "toy-refuse")) == "world 'fores' not found; did you mean 'forest'?"


def test_arguments_that_do_not_parse_are_refused(plugin: Path) -> None:
    for arguments in (["--status", "seven"], ["--sttaus", "7"], ["7", "8"]):
        done = program(plugin, "toy-status", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr


def test_a_missing_extra_is_answered_with_its_installation(plugin: Path) -> None:
    assert refusal(program(plugin, "toy-early")) == (
        "'toy-early' needs the package 'surely_not_installed', which is not installed; pip install 'toy[sim]'"
    )
    assert refusal(program(plugin, "toy-late")).endswith(
        "which is not installed; pip install 'toy[sim,train]'"
    )
    assert refusal(program(plugin, "bench", "toy-needs")).endswith("pip install 'toy[view]'")


def test_our_own_extras_are_named_for_our_own_package(plugin: Path) -> None:
    blocked = (
        "import sys; sys.modules['pybullet'] = sys.modules['gymnasium'] = sys.modules['pydantic'] = None\n"
    )
    code = (
        blocked
        + "from navstack.cli import main; sys.argv = ['navstack', 'evaluate', 'x.onnx']; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert refusal(done).endswith("which is not installed; pip install 'navstack[sim]'")


def test_a_mistake_in_a_command_is_no_missing_extra(plugin: Path) -> None:
    done = program(plugin, "toy-mistake")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


# -- how it ends


def test_the_commands_status_is_the_programs(plugin: Path) -> None:
    assert program(plugin, "toy-status").returncode == 7
    assert program(plugin, "toy-status", "--status", "0").returncode == 0


@pytest.mark.parametrize(
    ("number", "status", "sentence"),
    [
        (signal.SIGINT, 130, "navstack toy-wait: interrupted\n"),
        (signal.SIGTERM, 143, "navstack toy-wait: terminated\n"),
    ],
)
def test_a_signal_is_one_sentence(plugin: Path, number: int, status: int, sentence: str) -> None:
    with subprocess.Popen(
        [*PROGRAM, "toy-wait"],
        env=environment(plugin),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (status, sentence)


@pytest.mark.parametrize("name", ["toy-importing", "toy-extension"])
def test_an_interruption_among_the_imports_is_one_sentence_too(plugin: Path, name: str) -> None:
    done = program(plugin, name)
    assert (done.returncode, done.stderr) == (130, f"navstack {name}: interrupted\n")


def test_a_reader_that_leaves_ends_it_quietly(plugin: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "toy-lines"], env=environment(plugin), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=30)
    assert (process.returncode, errors) == (141, b"")


def test_another_broken_pipe_is_an_error_like_others(plugin: Path) -> None:
    done = program(plugin, "toy-raise", "--what", "EPIPE")
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr


def test_a_full_disk_anywhere_is_one_sentence(plugin: Path) -> None:
    assert refusal(program(plugin, "toy-raise", "--what", "ENOSPC")) == (
        "the disk is full (out/r.bin); free some space and try again"
    )


def test_forked_workers_are_ended_without_a_word(plugin: Path) -> None:
    done = program(plugin, "toy-pool")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- bench


def test_bench_prints_a_table_and_writes_its_rows(plugin: Path, tmp_path: Path) -> None:
    done = program(plugin, "bench", "toy-held", "--json", "rows.json", cwd=tmp_path)
    assert done.returncode == 0
    assert "1.25 ms" in done.stdout
    assert "1.3 x" in done.stdout
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["held"] for row in rows] == [True, None]
    assert rows[0].keys() >= {"what", "value", "unit", "against", "reference", "ratio", "budget", "held"}


def test_bench_fails_when_a_budget_is_not_held(plugin: Path) -> None:
    done = program(plugin, "bench", "toy-missed")
    assert done.returncode == 1
    assert "no" in done.stdout.split()


def test_bench_names_the_nearest_and_what_a_row_lacks(plugin: Path) -> None:
    assert (
        refusal(program(plugin, "bench", "toy-hold")) == "no benchmark 'toy-hold'; did you mean 'toy-held'?"
    )
    assert "a row has no 'unit'" in program(plugin, "bench", "toy-short").stderr


# -- inspect and models


def test_inspect_prints_the_card(make_policy: MakePolicy, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_policy()
    assert run(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    for found in (
        f"{path}: {path.stat().st_size:,} bytes",
        "FlyToTarget: chair, ball",
        "12 x 8 RGB",
        "20 Hz",
        "opset 18",
    ):
        assert found in text


def test_inspect_gives_the_same_as_json(make_policy: MakePolicy, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_policy()
    assert run(["inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["card"]["camera"]["width"] == 12
    assert (found["opset"], found["ir_version"], found["bytes"]) == (18, 9, path.stat().st_size)
    assert "Tanh" in found["operators"]


def test_inspect_tells_training_and_evaluation(
    make_policy: MakePolicy, make_card: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"world": "winter", "episodes": 300, "success_rate": 0.98, "ci_low": 0.957, "ci_high": 0.991}
    card = make_card(training={"command": "navstack train \x1b[31m"}, evaluation=(row, {"world": "urban"}))
    assert run(["inspect", str(make_policy(card=card))]) == 0
    text = capsys.readouterr().out
    assert "winter         98.0% (95.7% to 99.1%) of 300 flights" in text
    assert "command: navstack train ?[31m" in text  # a card must not drive the terminal


def test_inspect_refuses_what_cannot_fly(make_policy: MakePolicy) -> None:
    with pytest.raises(InputError, match="beyond the card's Limits"):
        run(["inspect", str(make_policy(gain=3.0))])


def test_models_lists_what_ships_and_every_name_is_a_policy(
    make_policy: MakePolicy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_policy().rename(tmp_path / "toy-flyer.onnx")
    monkeypatch.setattr("navstack.policy.resources.files", lambda package: tmp_path)
    assert run(["models"]) == 0
    text = capsys.readouterr().out
    assert "toy-flyer: FlyToTarget (chair, ball)" in text
    assert "real flights: 0" in text
    assert run(["models", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["toy-flyer"]
    assert run(["inspect", "toy-flyer"]) == 0
    with pytest.raises(InputError, match="neither a file nor a policy that ships; did you mean 'toy-flyer'"):
        run(["inspect", "toy-flier"])


def test_models_of_this_version_meet_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert run(["inspect", row["name"]]) == 0
        assert row["bytes"] < 500_000
