"""How far gradients reach back: against a network whose gradients are known, and as files."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from navstack.errors import InputError
from navstack.policies.commands.explain import Gradients
from navstack.policies.explain.gradients import random_features
from navstack.policies.explain.reach import Reach, gradient_reach


class Leaky(nn.Module):
    """y(t) = decay y(t - 1) + x(t): d y(T) / d x(T - k) is decay^k."""

    def __init__(self, decay):
        super().__init__()
        self.decay = decay

    def initial_state(self, batch):
        return torch.zeros(batch, 3)

    def sequence(self, x, state, dt):
        outputs = []
        for step in range(x.shape[1]):
            state = self.decay * state + x[:, step]
            outputs.append(state)
        return torch.stack(outputs, dim=1), state


@pytest.mark.parametrize("decay", [0.5, 0.9, 1.0])
def test_the_norm_is_that_of_the_jacobian(decay):
    reach = gradient_reach(Leaky(decay), *random_features(4, 20, 3, seed=0))
    np.testing.assert_allclose(reach.norm, np.sqrt(3.0) * decay ** np.arange(20), rtol=1e-5)


def test_the_reach_ends_where_a_thousandth_is_left():
    assert Reach(0.5 ** np.arange(30)).frames == 10  # 2^-9 is over a thousandth, 2^-10 is not
    assert Reach(np.ones(30)).frames == 30


def test_gradients_are_drawn_with_their_numbers(tmp_path):
    out = tmp_path / "gradients.png"
    assert Gradients(out, network=("cfc-strict",), frames=60)() == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    rows = {row["network"]: row for row in json.loads((tmp_path / "gradients.json").read_text())}
    assert set(rows) == {"cfc-strict", "cfc-strict, time constants"}
    assert rows["cfc-strict"]["reach_frames"] < 20
    assert rows["cfc-strict, time constants"]["reach_frames"] == 60
    with pytest.raises(InputError, match="exists"):
        Gradients(out, network=("cfc-strict",))()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"network": ("cfc-strikt",)}, "did you mean 'cfc-strict'"),
        ({"frames": 1}, "at least 2"),
        ({"network": (), "run": ("nowhere",)}, "no checkpoint"),
    ],
)
def test_gradients_refuses_in_a_sentence(tmp_path, arguments, sentence):
    if "run" in arguments:
        arguments = {**arguments, "run": tuple(tmp_path / name for name in arguments["run"])}
    with pytest.raises(InputError, match=sentence):
        Gradients(tmp_path / "gradients.png", **arguments)()
    with pytest.raises(InputError, match=r"end in \.png"):
        Gradients(tmp_path / "gradients.pdf")()
    assert not list(tmp_path.iterdir())
