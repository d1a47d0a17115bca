"""Options from a TOML file: every option is explained, names and values are checked."""

import re
import resource
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.commands.fly import Fly
from navstack.errors import InputError
from navstack.onboard import check_arguments, guard_maker, link_config
from navstack.policy import OnnxPolicy
from navstack.safety import GuardConfig
from navstack.settings import OF_THE_CARD, fly_options, guard_numbers, read_settings

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "docs" / "fly.toml"
FROM_OPTIONS = {"fence", "ceiling", "floor", "drift", "link_loss"}  # have options of their own, or are read


def navstack(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "navstack", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_the_shipped_file_explains_every_option_with_its_default():
    text = SHIPPED.read_text()
    named = set(re.findall(r"^#? ?(\w+) = .*#", text, re.M)) | {"vehicle", "env", "world", "seed"}
    assert {field.name for field in fields(Fly)} - {"config"} <= named
    values, defaults = tomllib.loads(text), Fly("x")
    numbers = values.pop("guard_numbers")
    for name, value in values.items():
        default = getattr(defaults, name)
        assert value == (list(default) if isinstance(default, tuple) else default), name
    guard = GuardConfig()
    assert set(numbers) == {f.name for f in fields(GuardConfig)} - set(OF_THE_CARD) - FROM_OPTIONS
    assert all(value == getattr(guard, name) for name, value in numbers.items())


def test_a_value_of_the_file_counts_until_the_command_line_says_otherwise(tmp_path):
    path = tmp_path / "fly.toml"
    path.write_text(
        'policy = "fly-to-target"\nfence = 12\nview_address = "127.0.0.1:9"\nallow_unsafe = ["A"]\n'
    )
    found = fly_options(Fly, ["--config", str(path)])
    assert (found.policy, found.fence, found.allow_unsafe) == ("fly-to-target", 12.0, ("A",))
    path.write_text('world = "medow"\n')
    done = navstack("fly", "fly-to-target", "--config", path)
    assert "did you mean 'meadow'" in done.stderr
    done = navstack("fly", "fly-to-target", f"--config={path}", "--world", "winterr")
    assert "did you mean 'winter'" in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fense = 3", "no option 'fense'; did you mean 'fence'"),
        ("fence = true", "'fence' is True; expected a number"),
        ('engage = "robot"', "expected 'pilot' or 'self'"),
        ("allow_unsafe = [1]", "expected a list of strings"),
        ("fence = ", "cannot be read as TOML"),
        ("config = 'x'", "no option 'config'"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "fly.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(sentence)):
        fly_options(Fly, ["--config", str(path)])


@pytest.mark.parametrize(
    "text", ["[guard_numbers]\nbrakes = 1", "[guard_numbers]\nbraking = -1", "guard_numbers = 3"]
)
def test_numbers_of_the_guard_are_checked(tmp_path, text):
    path = tmp_path / "fly.toml"
    path.write_text(text)
    with pytest.raises(InputError, match="guard"):
        guard_numbers(path, GuardConfig())


@settings(max_examples=150)
@given(st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
def test_no_bytes_crash_the_reader_of_options(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(data)
    try:
        assert isinstance(read_settings(path), dict)
    except InputError:
        return
    try:
        fly_options(Fly, ["--config", str(path)])
    except InputError:
        return


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"camera": "0"}, "without --autopilot"),
        ({"autopilot": "udpin:127.0.0.1:1"}, "without --camera"),
        ({"autopilot": "a", "camera": "0", "guard": False}, "simulated vehicle only"),
        ({"autopilot": "a", "camera": "0", "arm": True}, "--arm is for --takeoff"),
        ({"autopilot": "a", "camera": "0", "speed": 0.0}, "--speed"),
        ({"autopilot": "a", "camera": "0", "floor": 20.0}, "below --ceiling"),
        ({"autopilot": "a", "camera": "0", "takeoff": 0.2}, "between floor and ceiling"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        check_arguments(Fly("fly-to-target", **options))


def test_the_guard_of_a_flight_has_the_options_numbers(tmp_path):
    config, fence = tmp_path / "fly.toml", tmp_path / "fence.json"
    config.write_text("[guard_numbers]\nbraking = 1.5\n")
    fence.write_text("[[-9, -9], [9, -9], [9, 9], [-9, 9]]")
    card = OnnxPolicy.load("fly-to-target").card
    guard = guard_maker(Fly("x", config=config, fence_polygon=fence, camera_latency=0.04), card)(0.5)
    assert (guard.config.braking, guard.config.link_loss, guard.config.latency) == (1.5, 0.5, 0.04)
    assert guard.config.limits.forward == 1.0
    assert guard.config.limits.yaw_rate == 0.5
    assert guard.config.polygon[2] == (9.0, 9.0)
    for text in ("[1]", "{}", '"x"', "[[1, 2, 3]]"):
        fence.write_text(text)
        with pytest.raises(InputError):
            guard_maker(Fly("x", fence_polygon=fence), card)(0.5)


def test_a_signing_key_is_64_hexadecimal_digits(tmp_path):
    path = tmp_path / "key.hex"
    path.write_text("ab" * 32 + "\n")
    assert link_config(Fly("x", signing_key=path)).signing_key == b"\xab" * 32
    for text in ("ab", "zz" * 32):
        path.write_text(text)
        with pytest.raises(InputError, match="hexadecimal"):
            link_config(Fly("x", signing_key=path))


def test_arming_is_typed_by_a_person():
    arguments = ("fly", "fly-to-target", "--autopilot", "udpin:127.0.0.1:1", "--camera", "nowhere", "--arm")
    done = navstack(*arguments, "--takeoff", "2")
    assert done.returncode == 2  # the camera is looked at first
    assert "real_flights: 0" in done.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one_that_systemd_reads():
    unit = ROOT / "docs" / "navstack-fly.service"
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert "Unknown" not in done.stderr


def test_help_answers_at_once():
    """In seconds of the processor: a shared machine may be slow for a moment."""
    assert min(_seconds() for _ in range(3)) < 0.5


def _seconds():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert navstack("fly", "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
