"""The policy network: sizes, scaling, time, and the two paths through it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from navstack.contract import Limits
from navstack.errors import InputError
from navstack.policies.cores import CORES
from navstack.policies.network import NetworkSpec, build_network
from navstack.policies.vision import PARAMETERS, Vision


def network(preset="cfc-strict", **spec):
    torch.manual_seed(0)
    return build_network(NetworkSpec(preset=preset, **spec))


def images(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (*shape, 64, 96, 3), dtype=np.uint8))


@pytest.mark.parametrize("preset", CORES)
def test_sizes_are_those_that_the_design_promises(preset):
    policy = network(preset)
    assert policy.vision.parameter_count() < 50_000
    assert 18_000 <= policy.core.effective_parameters() <= 22_000
    assert policy.state_size >= 1


@pytest.mark.parametrize("preset", CORES)
def test_a_sequence_is_its_steps(preset):
    policy = network(preset)
    frames, dt = images(2, 5), torch.rand(2, 5) * 0.4
    commands, last = policy.sequence(frames, dt, policy.initial_state(2))
    state = policy.initial_state(2)
    for t in range(5):
        command, state = policy.step(frames[:, t], dt[:, t : t + 1], state)
        torch.testing.assert_close(commands[:, t], command, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(last, state, atol=1e-5, rtol=1e-4)


@given(gain=st.floats(-1e3, 1e3), bias=st.floats(-1e3, 1e3))
@settings(max_examples=20, deadline=None)
def test_commands_stay_inside_the_limits_whatever_the_weights(gain, bias):
    limits = Limits(1.5, 0.5, 0.7, 0.9)
    policy = network(limits=limits)
    with torch.no_grad():
        policy.gain.fill_(gain)
        policy.bias.fill_(bias)
        command, _ = policy.step(images(3), torch.full((3, 1), 0.05), policy.initial_state(3))
    assert (command.abs() <= torch.from_numpy(limits.as_array()) * (1 + 1e-6)).all()


def test_time_is_counted_in_nominal_periods_and_clamped():
    policy = network(rate_hz=20.0, dt_min=0.02, dt_max=0.3)
    seconds = torch.tensor([0.001, 0.02, 0.05, 0.3, 5.0])
    assert policy.periods(seconds).tolist() == pytest.approx([0.4, 0.4, 1.0, 6.0, 6.0])


def test_the_time_between_frames_changes_the_command():
    policy = network()
    frames = images(1, 6)
    slow, _ = policy.sequence(frames, torch.full((1, 6), 0.2), policy.initial_state(1))
    fast, _ = policy.sequence(frames, torch.full((1, 6), 0.02), policy.initial_state(1))
    assert (slow - fast).abs().max() > 1e-3


def test_vision_normalises_in_its_weights():
    torch.manual_seed(0)
    vision = Vision()
    frame = images(1)
    pixels = frame.permute(0, 3, 1, 2).float()
    inner = vision.pixels(frame)[..., 1:-1, 1:-1]
    weight, bias = vision.pixels.weight, vision.pixels.bias
    normalised = torch.nn.functional.conv2d((pixels - 128.0) / 64.0, weight, bias, 4, 1)
    torch.testing.assert_close(inner, normalised[..., 1:-1, 1:-1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", [(32, 48), (64, 96), (96, 128)])
def test_vision_fills_its_budget_and_counts_its_products(size):
    vision = Vision(*size)
    assert vision.parameter_count() <= PARAMETERS
    assert vision(torch.zeros(2, *size, 3, dtype=torch.uint8)).shape == (2, vision.feature_size)
    with FlopCounterMode(display=False) as counted:
        vision(torch.zeros(1, *size, 3, dtype=torch.uint8))
    assert 2 * vision.multiply_adds() == counted.get_total_flops()


def test_vision_of_pictures_that_are_too_large_is_refused():
    with pytest.raises(InputError, match=r"images of 1280 x 720 pixels are too large .* ask for smaller"):
        Vision(720, 1280)


def test_vision_in_parts_is_vision_of_the_whole(monkeypatch):
    torch.manual_seed(0)
    vision, frames = Vision(), images(3, 5)
    whole = vision.sequence(frames)
    monkeypatch.setattr("navstack.policies.vision.FRAMES_AT_ONCE", 4)
    torch.testing.assert_close(vision.sequence(frames), whole, atol=1e-5, rtol=1e-4)


def test_vision_sees_a_target_of_four_pixels_move_by_one():
    torch.manual_seed(0)
    vision = Vision()
    here = torch.full((2, 64, 96, 3), 120, dtype=torch.uint8)
    for shift in (0, 1):
        here[shift, 30:34, 40 + shift : 44 + shift] = torch.tensor([220, 10, 10], dtype=torch.uint8)
    features = vision(here)
    assert (features[0] - features[1]).abs().max() > 1e-4


def test_an_unknown_network_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'cfc-strict'"):
        build_network(NetworkSpec(preset="cfc-strikt"))
