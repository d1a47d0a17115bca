"""What `scripts/fuzz` tries for minutes, for seconds: sound input is taken, damaged input answered."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from navstack.policy import read_policy

SCRIPT = Path(__file__).parents[1] / "scripts" / "fuzz"
loader = importlib.machinery.SourceFileLoader("fuzz_script", str(SCRIPT))
fuzz = importlib.util.module_from_spec(importlib.util.spec_from_loader("fuzz_script", loader))
loader.exec_module(fuzz)

EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3)), min_size=1, max_size=6)


def damaged(data, edits, end):
    """Some bytes replaced by others, or by nothing, and the rest cut off."""
    found = bytearray(data)
    for where, new in edits:
        place = int(where * len(found))
        found[place : place + 1] = new
    return bytes(found[: int(end * len(found)) + 1])


@pytest.fixture(scope="module", params=fuzz.TARGETS)
def target(request):
    return request.param, fuzz.TARGETS[request.param](), fuzz.seeds(request.param)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(choice=st.integers(0, 1000), edits=EDITS, end=st.sampled_from((1.0, 1.0, 0.9, 0.5, 0.05)))
def test_sound_and_damaged_input_is_answered(target, choice, edits, end):
    _, run, sound = target
    data = sound[choice % len(sound)]
    run(data)
    run(damaged(data, edits, end))


@settings(max_examples=40, deadline=None)
@given(edits=EDITS, end=st.sampled_from((1.0, 1.0, 0.99, 0.5)), where=st.floats(0.0, 0.1))
def test_the_shipped_policy_damaged_is_refused_or_flies(edits, end, where):
    """Structure stands at the file's two ends, weights between: most damage is done at the ends."""
    data = read_policy("fly-to-target").data
    at = int(where * len(data))
    fuzz.policies()(damaged(data[:at], edits, 1.0) + data[at:])
    tail = len(data) - 20_000
    fuzz.policies()(data[:tail] + damaged(data[tail:], edits, end))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_a_few_seconds_of_fuzzing_find_nothing(name, tmp_path):
    command = [sys.executable, str(SCRIPT), name, "--seconds", "5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(tmp_path.iterdir()) == []
