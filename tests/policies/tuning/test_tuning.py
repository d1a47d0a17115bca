"""Studies: what is drawn, what a kill leaves, what the curve says, and one small study from end to end."""

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import TrialState

from navstack.errors import InputError
from navstack.policies.commands.train import Train
from navstack.policies.commands.tune import Tune
from navstack.policies.imitation.card import network_spec
from navstack.policies.imitation.command import train_config
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.network import NetworkSpec, build_network
from navstack.policies.tuning.curve import curve_figure, fewest
from navstack.policies.tuning.space import draw_config, settings_of, usual, with_settings
from navstack.policies.tuning.study import StudySpec, _lock, load_study, open_study, prepare, trial_folder
from navstack.policies.variants import VARIANTS, Variant, build_variant

BASE = TrainConfig(dagger_episodes=(), expert_share=(), steps=(3,), expert_episodes=1)
SPEC = StudySpec(BASE, (16, 32))


@pytest.mark.parametrize("network", VARIANTS)
def test_a_network_has_as_many_neurons_as_were_asked_for(network):
    torch.manual_seed(0)
    sizes = []
    for neurons in (16, 40):
        core = build_variant(network, 48, Variant(neurons, 0.6))
        outputs, _ = core.sequence(torch.randn(2, 5, 48), core.initial_state(2), torch.ones(2, 5))
        assert outputs.shape == (2, 5, 4)
        sizes.append(sum(parameter.numel() for parameter in core.parameters()))
    assert sizes[0] < sizes[1]


def test_a_denser_wiring_has_more_synapses_and_an_ltc_other_steps():
    dense, sparse = (build_variant("cfc-strict", 48, Variant(60, sparsity)) for sparsity in (0.3, 0.8))
    assert dense.wiring.synapses > 1.5 * sparse.wiring.synapses
    assert build_variant("ltc-ncp", 48, Variant(20, solver_steps=3)).steps == 3


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="'tcn' comes in one size; in others come cfc-strict"):
        build_variant("tcn", 48, Variant(20))
    with pytest.raises(InputError, match="motors must be from 1 to units - 3"):
        build_variant("cfc-strict", 48, Variant(6))
    with pytest.raises(InputError, match="'mlp' comes in one size; to be tuned are"):
        settings_of("mlp")


def test_a_run_of_another_size_builds_that_network():
    small = replace(BASE, neurons=20, sparsity=0.3)
    assert build_network(network_spec(small)).core.neurons == 20
    assert network_spec(BASE) == NetworkSpec(preset="cfc-strict")


def test_a_trial_is_drawn_within_its_bounds():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for network, names in (("cfc-strict", {"sparsity"}), ("lstm", set()), ("ltc-ncp", {"solver_steps"})):
        base = replace(BASE, network=network)
        for _ in range(20):
            trial = study.ask()
            config = draw_config(trial, base, (16, 32))
            assert config.neurons in (16, 32)
            assert names <= set(trial.params)
            assert 5e-4 <= config.learning_rate <= 1e-2
            assert config.later_rate / config.learning_rate == pytest.approx(
                base.later_rate / base.learning_rate
            )
            assert config == with_settings(base, trial.params)


def demonstrations(folder):
    """A folder that looks as if an expert had flown."""
    (folder / "demonstrations").mkdir(exist_ok=True)
    (folder / "demonstrations" / "r00_00000.safetensors").write_bytes(b"flight")


def test_every_size_is_queued_first_and_a_killed_trial_once_more(tmp_path):
    folder = tmp_path / "study"
    open_study(folder, SPEC)
    demonstrations(folder)
    base = prepare(folder, SPEC)
    assert len(base.demonstrations) == 64
    study = load_study(folder, SPEC)
    assert [trial.system_attrs["fixed_params"]["neurons"] for trial in study.trials] == [16, 32]
    killed, at_work = study.ask(), study.ask()
    draw_config(killed, base, SPEC.neurons)
    draw_config(at_work, base, SPEC.neurons)
    with _lock(folder, at_work.number) as free:
        assert free
        prepare(folder, SPEC)  # by another process
    states = [trial.state for trial in load_study(folder, SPEC).trials]
    assert states == [TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING]
    again = load_study(folder, SPEC).ask()
    config = draw_config(again, base, SPEC.neurons)
    assert trial_folder(folder, config) == trial_folder(folder, with_settings(base, killed.params))


def test_another_study_in_the_folder_is_refused(tmp_path):
    folder = tmp_path / "study"
    open_study(folder, SPEC)
    open_study(folder, replace(SPEC, base=replace(BASE, workers=5)))
    with pytest.raises(InputError, match="another study"):
        open_study(folder, replace(SPEC, neurons=(16,)))
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="no study"):
        open_study(tmp_path, SPEC)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"network": "cfc-strikt"}, "did you mean 'cfc-strict'"),
        ({"network": "tcn"}, "comes in one size"),
        ({"neurons": (5,)}, "motors must be"),
        ({"neurons": ()}, "at least one number"),
        ({"trials": 0}, "at least 1"),
        ({"env": "FlyToTargt"}, "not found"),
        ({"steps": (1, 2, 3)}, "needs 2 numbers of steps"),
    ],
)
def test_tune_refuses_in_a_sentence_before_it_writes(tmp_path, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Tune(tmp_path / "study", **arguments)()
    assert not (tmp_path / "study").exists()


def row(neurons, successes, low, high):
    return {
        "neurons": neurons, "episodes": 100, "successes": successes, "success_rate": successes / 100,
        "ci_low": low, "ci_high": high, "trial": str(neurons),
    }  # fmt: skip


def test_the_fewest_neurons_are_those_whose_interval_reaches_the_best():
    rows = [
        row(16, 50, 0.40, 0.60),
        row(32, 88, 0.80, 0.93),
        row(64, 92, 0.85, 0.96),
        row(128, 90, 0.83, 0.95),
    ]
    assert fewest(rows)["neurons"] == 32
    assert fewest(rows[:1])["neurons"] == 16
    assert curve_figure(rows, {16: 1, 32: 3}, "cfc-strict").startswith(b"\x89PNG")


def test_usual_settings_are_the_quick_presets():
    drawn = usual("cfc-strict", 64)
    config = with_settings(TrainConfig(), drawn)
    assert (config.learning_rate, config.later_rate) == (
        TrainConfig().learning_rate,
        TrainConfig().later_rate,
    )
    assert (config.weight_decay, config.sparsity) == (TrainConfig().weight_decay, 0.5)


@pytest.mark.slow
def test_a_small_study_from_end_to_end_and_on(tmp_path, capsys):
    folder = tmp_path / "study"
    few = Tune(
        folder, neurons=(8, 16), trials=2, expert_episodes=2, dagger_episodes=(), steps=(4,), dev_episodes=1,
        curve_episodes=1,
    )  # fmt: skip
    assert few() == 0
    trials = {path.name for path in (folder / "trials").iterdir()}
    assert len(trials) == 2
    assert replace(few, trials=3, jobs=2)() == 0
    assert trials < {path.name for path in (folder / "trials").iterdir()}
    rows = json.loads((folder / "curve.json").read_text())
    assert sorted(found["neurons"] for found in rows) == [8, 16]
    assert all(found["episodes"] == 4 for found in rows)
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    config = train_config(Train(Path("run"), config=folder / "best.json"))
    assert config.neurons in (8, 16)
    assert (config.steps, config.demonstrations) == (TrainConfig().steps, "")
    assert "fewest whose interval" in capsys.readouterr().out
