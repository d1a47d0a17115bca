"""Attention from the policy's file alone."""

import numpy as np
import onnxruntime as ort
import pytest

from navstack.attention import Attention, overlay
from navstack.errors import InputError
from navstack.onnx_file import read_operations, with_outputs
from navstack.policy import OUTPUTS, read_policy


def meadow_with_a_red_ball(column):
    image = np.full((64, 96, 3), (90, 140, 60), np.uint8)
    image[:30] = (150, 180, 230)
    image[34:44, column - 5 : column + 5] = (200, 20, 20)
    return image


@pytest.mark.parametrize("column", [20, 48, 80])
def test_the_shipped_policy_looks_at_the_target(column):
    attention = Attention(read_policy("fly-to-target"))
    mask = attention(meadow_with_a_red_ball(column))
    assert mask.shape == (64, 96)
    assert (mask.min(), mask.max()) == (0.0, 1.0)
    row, looked = np.unravel_index(mask.argmax(), mask.shape)
    assert abs(looked - column) <= 12
    assert 26 <= row <= 52


def test_the_overlay_is_coloured_where_it_looks_and_grey_elsewhere():
    image, mask = meadow_with_a_red_ball(48), np.zeros((64, 96), np.float32)
    mask[:, 40:56] = 1.0
    drawn = overlay(image, mask).astype(int)
    spread = drawn.max(axis=2) - drawn.min(axis=2)
    assert spread[:, 40:56].min() > 40
    assert spread[:, :40].max() == 0


def test_further_outputs_leave_the_others_as_they_were():
    file = read_policy("fly-to-target")
    name = next(o.outputs[0] for o in read_operations(file.data) if o.operator == "Relu")
    feed = {
        "image": meadow_with_a_red_ball(30)[None], "dt": np.full((1, 1), 0.05, np.float32),
        "state": np.zeros((1, file.card.state_size), np.float32),
    }  # fmt: skip
    before = ort.InferenceSession(file.data).run(OUTPUTS, feed)
    session = ort.InferenceSession(with_outputs(file.data, [name]))
    *after, relu = session.run((*OUTPUTS, name), feed)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert relu.ndim == 4
    assert relu.min() == 0.0


def test_a_policy_without_convolutions_says_so(make_policy):
    with pytest.raises(InputError, match="this one has none"):
        Attention(read_policy(str(make_policy())))
