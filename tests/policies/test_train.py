"""A training run: the same result whatever happens to it on the way."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.console import Console

from navstack.episodes import index_episode
from navstack.errors import InputError
from navstack.policies.cells import backends
from navstack.policies.commands.collect import Collect
from navstack.policies.commands.export import Export
from navstack.policies.commands.train import Train
from navstack.policies.export import weights_hash
from navstack.policies.imitation.checkpoint import Position, load_checkpoint, restore
from navstack.policies.imitation.command import find_checkpoint, fit_to_task, train_config
from navstack.policies.imitation.config import (
    PRESETS,
    CollectConfig,
    TrainConfig,
    config_from_json,
    config_to_json,
    difference,
    preset,
)
from navstack.policies.imitation.demonstrations import adopt
from navstack.policies.imitation.folder import open_run
from navstack.policies.imitation.learn import Imitator
from navstack.policies.imitation.report import Metrics, read_metrics
from navstack.policies.imitation.run import train
from navstack.policies.network import NetworkSpec, build_network
from navstack.policy import OnnxPolicy

RUN = """
import sys
from pathlib import Path
from rich.console import Console
from navstack.policies.imitation.config import CollectConfig, TrainConfig
from navstack.policies.imitation.run import train

config = TrainConfig(
    collect=CollectConfig(worlds=("meadow",), longest=3.0),
    expert_episodes=3, dagger_episodes=(2,), expert_share=(0.5,), steps=(14, 12),
    windows=2, frames=8, burn_in=2, dev_worlds=("meadow",), dev_episodes=1, dev_longest=2.0,
    checkpoint_seconds=0.0, workers=1, threads=1,
)
train(Path(sys.argv[1]), config, Console())
"""


def start(folder):
    command = [sys.executable, "-c", RUN, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(folder):
    process = start(folder)
    output = process.communicate()[0].decode()
    assert process.returncode == 0, output
    return output


def wait_for(condition, process):
    deadline = time.monotonic() + 60.0
    while not condition():
        assert process.poll() is None, process.communicate()[0].decode()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    finish(folder)
    return folder


def test_killed_at_several_moments_it_arrives_at_the_same_policy(uninterrupted, tmp_path):
    folder = tmp_path / "killed"
    first, second = folder / "rounds" / "00", folder / "rounds" / "01"
    moments = {
        "while the expert flies": lambda: len(list(folder.glob("episodes/r00_*"))) >= 1,
        "while the first round is learned": lambda: (first / "checkpoint.safetensors").exists(),
        "after the export": lambda: (first / "policy.onnx").exists(),
        "while the learner flies": lambda: len(list(folder.glob("episodes/r01_*"))) >= 1,
        "while the last round is learned": lambda: (second / "checkpoint.safetensors").exists(),
    }
    killed = 0
    for moment in moments.values():
        process = start(folder)
        wait_for(moment, process)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert killed == len(moments)
    assert not (folder / "policy.onnx").exists()
    assert "going on" in finish(folder)
    assert (folder / "policy.onnx").read_bytes() == (uninterrupted / "policy.onnx").read_bytes()
    assert dev_rows(folder) == dev_rows(uninterrupted)
    assert not list(folder.rglob("*.tmp"))


def dev_rows(folder):
    return [row for row in read_metrics(folder / "metrics.jsonl") if "dev_success" in row]


@pytest.mark.parametrize("command", ["train", "collect"])
def test_an_interrupt_ends_with_one_sentence_and_can_be_gone_on_from(tmp_path, command):
    folder = tmp_path / "run"
    words = [sys.executable, "-m", "navstack", command, "--env", "FlyToTarget", "--out", str(folder)]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: len(list(folder.rglob("r00_*.safetensors"))) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == f"navstack {command}: interrupted\n"
    for path in folder.rglob("*.safetensors"):
        index_episode(path)  # whole


def test_a_run_leaves_what_it_promises(uninterrupted):
    names = {path.relative_to(uninterrupted).as_posix() for path in uninterrupted.rglob("*")}
    assert {"README.md", "run.json", "policy.onnx", "metrics.jsonl", "rounds/01/dev.json"} <= names
    assert [row["round"] for row in dev_rows(uninterrupted)] == [0, 1]
    card = OnnxPolicy.load(uninterrupted / "policy.onnx").card
    assert card.task == "FlyToTarget"
    assert card.training["config"]["dev_worlds"] == ["meadow"]
    assert [row["world"] for row in card.evaluation] == ["meadow"]
    assert str(uninterrupted.parent) not in json.dumps(card.training)


def test_the_readme_of_a_run_steps_its_policy(uninterrupted):
    text = (uninterrupted / "README.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=uninterrupted, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("{'forward': ")
    assert "of 1\nflights in" in text


def test_a_finished_run_is_left_as_it_is(uninterrupted):
    before = (uninterrupted / "policy.onnx").stat().st_mtime_ns
    assert "is finished" in finish(uninterrupted)
    assert (uninterrupted / "policy.onnx").stat().st_mtime_ns == before


def test_an_exported_checkpoint_has_the_weights_of_its_round(uninterrupted, tmp_path):
    out = tmp_path / "policy.onnx"
    assert Export(checkpoint=uninterrupted / "rounds" / "00", out=out)() == 0
    assert weights_hash(out) == weights_hash(uninterrupted / "rounds" / "00" / "policy.onnx")
    with pytest.raises(InputError, match="exists"):
        Export(checkpoint=uninterrupted, out=out)()


def test_of_a_run_the_newest_round_is_exported(uninterrupted):
    assert find_checkpoint(uninterrupted).parent.name == "01"


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        Export(checkpoint=tmp_path, out=tmp_path / "policy.onnx")()


def test_a_broken_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.safetensors")


def test_a_folder_with_another_run_is_refused_and_left_alone(tmp_path):
    config = preset("quick")
    open_run(tmp_path / "run", config)
    open_run(tmp_path / "run", replace(config, workers=7, checkpoint_seconds=1.0))
    for other, words in (
        (replace(config, threads=config.threads + 1), "threads is 2 there and 3 here"),
        (replace(config, collect=replace(config.collect, worlds=("forest",))), "collect.worlds"),
        (replace(config, seed=4), "seed"),
    ):
        with pytest.raises(InputError, match=words):
            open_run(tmp_path / "run", other)
    assert config_from_json(json.loads((tmp_path / "run" / "run.json").read_text())) == config


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="no training run"):
        open_run(tmp_path, preset("quick"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no training run"):
        open_run(tmp_path / "file", preset("quick"))


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    config = preset("quick")
    open_run(tmp_path, config)
    with (tmp_path / "run.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            train(tmp_path, config, Console())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"preset": "quik"}, "did you mean 'quick'"),
        ({"steps": (1, 2)}, "3 DAgger rounds needs 4 numbers of steps"),
        ({"world": ("winter",)}, "held-out"),
        ({"dev_world": ("winter",)}, "purpose 'dev'"),
        ({"dev_world": ("parc",)}, "did you mean 'park'"),
        ({"network": "cfc-strickt"}, "did you mean 'cfc-strict'"),
        ({"accelerator": "abacus"}, "accelerator 'abacus'"),
        ({"backend": "numbra"}, "did you mean 'numba'"),
        ({"backend": "numba", "accelerator": "cuda"}, "numba computes on a CPU; the accelerator is cuda"),
        ({"expert_episodes": 0}, "at least 1"),
    ],
)
def test_train_refuses_in_a_sentence_before_it_writes(tmp_path, arguments, sentence):
    out = tmp_path / "out"
    with pytest.raises(InputError, match=sentence):
        Train(out=out, **arguments)()
    assert not out.exists()


def test_a_back_end_that_cannot_run_is_refused_before_anything_flies(tmp_path, monkeypatch):
    out = tmp_path / "out"
    if find_spec("numba") is not None:
        with pytest.raises(InputError, match="no cell that the back end numba can run"):
            Train(out=out, backend="numba", network="lstm")()
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'navstack\[fast\]'"):
        Train(out=out, backend="numba")()
    assert not out.exists()


def test_arguments_replace_the_presets_numbers():
    arguments = Train(out=Path("x"), dagger_episodes=(5,), steps=(3, 4), seed=9, threads=1, workers=3)
    config = train_config(arguments)
    assert (config.dagger_episodes, config.steps, config.rounds) == ((5,), (3, 4), 2)
    assert config.expert_share == preset("quick").expert_share[:1]
    assert (config.seed, config.collect.seed, config.threads, config.workers) == (9, 9, 1, 3)


@pytest.mark.parametrize(("env", "mirrored"), [("FlyToTarget", 0.5), ("Search", 0.0)])
def test_pictures_are_mirrored_only_where_the_task_allows_it(tmp_path, env, mirrored):
    assert fit_to_task(train_config(Train(tmp_path / "run", env=env))).augmentation.mirror == mirrored


def test_a_configuration_survives_its_json():
    for config in PRESETS.values():
        assert config_from_json(json.loads(config_to_json(config))) == config
        assert difference(config, json.loads(config_to_json(config))) is None


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    config = preset("quick")
    earlier = json.loads(config_to_json(config))
    for name in ("memory", "patience", "demonstrations", "precision", "backend"):
        del earlier[name]
    del earlier["collect"]["task_options"]
    assert difference(config, earlier) is None
    assert difference(replace(config, patience=2), earlier) == "patience is 0 there and 2 here"
    assert config_from_json(earlier) == config


def test_a_configuration_file_stands_for_a_preset(tmp_path):
    path = tmp_path / "tuned.json"
    tuned = replace(preset("quick"), learning_rate=1e-3, network="cfc-ncps", windows=7)
    path.write_text(config_to_json(tuned))
    config = train_config(Train(tmp_path / "run", config=path, threads=tuned.threads, workers=tuned.workers))
    assert config == tuned
    lower = train_config(Train(tmp_path / "run", config=path, learning_rate=5e-4))
    assert (lower.learning_rate, lower.later_rate) == (5e-4, tuned.later_rate / 2.0)
    path.write_text("{}")
    with pytest.raises(InputError, match="does not fit this version"):
        train_config(Train(tmp_path / "run", config=path))
    with pytest.raises(InputError, match="not the configuration"):
        train_config(Train(tmp_path / "run", config=tmp_path / "none.json"))


def test_demonstrations_stand_for_the_experts_flights(tmp_path):
    given, there = tmp_path / "given", tmp_path / "there"
    assert Collect(out=given, world=("meadow",), episodes=2, workers=1)() == 0
    config = train_config(Train(tmp_path / "run", demonstrations=given, expert_episodes=2))
    assert config.expert_episodes == 2
    adopt(given, there, config)
    first = there / "r00_00000.safetensors"
    assert first.read_bytes() == (given / first.name).read_bytes()
    adopt(None, there, config)  # all there
    first.unlink()
    with pytest.raises(InputError, match="misses 1 of the run's demonstrations"):
        adopt(None, there, config)
    with pytest.raises(InputError, match="does not hold the episodes that the run was begun with"):
        adopt(given, there, replace(config, demonstrations="other"))
    with pytest.raises(InputError, match="holds 2 episodes; 3 are needed"):
        train_config(Train(tmp_path / "run", demonstrations=given, expert_episodes=3))


def test_a_checkpoint_of_another_configuration_is_refused(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder)
    (folder / "policy.onnx").unlink()
    values = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**values, "clip": 1.0}))
    config = config_from_json(json.loads((folder / "run.json").read_text()))
    with pytest.raises(InputError, match=r"of another configuration: clip is 5\.0 there and 1\.0 here"):
        train(folder, config, Console(quiet=True))


def test_a_checkpoint_of_another_network_is_refused_in_a_sentence(uninterrupted):
    checkpoint = load_checkpoint(uninterrupted / "rounds" / "01" / "checkpoint.safetensors")
    other = Imitator(build_network(NetworkSpec("cfc-ncps")))
    with pytest.raises(InputError, match=r"another network: '.*' is shape .* there and shape .* here$"):
        restore(checkpoint, other, None)


@pytest.mark.slow
def test_training_that_diverges_keeps_the_last_good_checkpoint(tmp_path):
    config = TrainConfig(
        collect=CollectConfig(worlds=("meadow",), longest=2.0), expert_episodes=2, dagger_episodes=(),
        expert_share=(), steps=(400,), windows=2, frames=8, burn_in=2, dev_worlds=("meadow",), dev_episodes=1,
        learning_rate=30.0, checkpoint_seconds=0.0, workers=1, threads=1,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"training diverges and was stopped; .*lower --learning-rate"):
        train(tmp_path / "run", config, Console(quiet=True))
    kept = load_checkpoint(tmp_path / "run" / "rounds" / "00" / "checkpoint.safetensors")
    assert all(bool(value.isfinite().all()) for value in kept.tensors.values() if value.is_floating_point())
    assert not (tmp_path / "run" / "policy.onnx").exists()


def test_metrics_cut_short_by_a_kill_are_read_up_to_there(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"round": 0, "step": 50, "loss": 0.1}\n{"round": 0, "st')
    assert [row["step"] for row in read_metrics(path)] == [50]
    assert read_metrics(tmp_path / "none.jsonl") == []


def test_a_restart_drops_rows_of_what_it_will_do_again(tmp_path):
    rows = [{"round": 0, "step": 50}, {"round": 0, "step": 60, "dev_success": 1.0}, {"round": 1, "step": 50}]
    rows.append({"round": 1, "step": 100})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Metrics(tmp_path, Position(1, 70), (60, 200), judged=[]).close()
    kept = [(row["round"], row["step"]) for row in read_metrics(tmp_path / "metrics.jsonl")]
    assert kept == [(0, 50), (1, 50)]
