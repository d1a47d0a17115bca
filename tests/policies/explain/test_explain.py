"""What is shown of a policy is what is there."""

import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.attention import Attention
from navstack.contract import PolicyCard
from navstack.episodes import Episode, EpisodeFacts, save_episode
from navstack.errors import InputError
from navstack.onnx_file import Contents
from navstack.policies.commands.explain import Flight
from navstack.policies.explain.activity import time_constants
from navstack.policies.explain.attention import add_noise, input_gradients, ssim, visual_backprop
from navstack.policies.explain.circuit import places, synapses
from navstack.policies.explain.command import layers_of
from navstack.policies.explain.graph import PolicyGraph
from navstack.policies.explain.replay import Recording, read_recording, replay
from navstack.policies.export import to_onnx
from navstack.policies.network import NetworkSpec, build_network
from navstack.policies.wiring import auto_ncp, ncp
from navstack.policy import OnnxPolicy, PolicyFile, read_policy

FILES = (
    "attention.mp4", "neurons.png", "wiring.mp4", "wiring.png", "steadiness.png", "explain.json",
)  # fmt: skip


def scene(place, size=10):
    """A grey sky over a green meadow with a red box whose middle is at (row, column)."""
    image = np.full((64, 96, 3), (150, 180, 210), np.uint8)
    image[32:] = (60, 110, 50)
    cv2.rectangle(
        image, (place[1] - size // 2, place[0] - size // 2), (place[1] + size // 2, place[0] + size // 2),
        (180, 20, 20), -1,
    )  # fmt: skip
    return image


def recording(images, reset=(0,)):
    first = np.isin(np.arange(len(images)), reset)
    return Recording("scene", np.stack(images), np.full(len(images), 0.05, np.float32), first)


@pytest.fixture(scope="module")
def shipped():
    file = read_policy("fly-to-target")
    return file, PolicyGraph(file)


def middle(attention, share=0.8):
    """Mean (row, column) of the places where a map is high."""
    return np.argwhere(attention >= share).mean(axis=0)


@pytest.fixture(scope="module")
def exported():
    torch.manual_seed(3)
    network = build_network(NetworkSpec(preset="cfc-strict"))
    data = to_onnx(network, 64, 96).SerializeToString()
    card = PolicyCard("FlyToTarget", (), "cfc-strict", "", network.state_size, 0, 0, 0, 0, 0)
    file = PolicyFile("fresh", data, Contents(), card)
    return file, PolicyGraph(file)


@pytest.mark.parametrize("policy", ["shipped", "exported"])
def test_the_attention_on_the_page_which_needs_no_torch_is_the_same(policy, request):
    file, graph = request.getfixturevalue(policy)
    flown = replay(file, recording([scene(place) for place in ((40, 20), (20, 70), (55, 48))]))
    attention = Attention(file)
    for image, mask in zip(flown.image, visual_backprop(graph, flown), strict=True):
        np.testing.assert_allclose(attention(image), mask, atol=1e-5)


def test_a_graph_exported_now_is_explained_as_it_flies(exported):
    file, graph = exported
    flown = replay(file, recording([scene((40, 20)), scene((40, 70))]))
    values = graph.run(*map(torch.from_numpy, (flown.image, flown.dt[:, None], flown.state)))
    np.testing.assert_allclose(values["command"].numpy(), flown.command, atol=1e-5)
    assert (input_gradients(graph, flown) > 0.0).mean() > 0.9


@pytest.mark.parametrize("method", [visual_backprop, input_gradients])
def test_the_target_is_what_the_policy_that_ships_looks_at(shipped, method):
    file, graph = shipped
    places = [(40, 20), (40, 48), (40, 76)]
    flown = replay(file, recording([scene(place) for place in places], reset=(0, 1, 2)))
    maps = method(graph, flown)
    assert maps.shape == (3, 64, 96)
    assert maps.min() >= 0.0
    assert maps.max() <= 1.0
    for attention, place in zip(maps, places, strict=True):
        np.testing.assert_allclose(middle(attention), place, atol=10.0)


def test_a_replay_is_the_flight_again(shipped):
    file, _ = shipped
    images = [scene((40, 20 + 4 * step)) for step in range(6)]
    flown = replay(file, recording(images, reset=(0, 3)))
    policy = OnnxPolicy.from_file(file)
    for step, image in enumerate(images):
        if step == 3:
            policy.reset()
        np.testing.assert_array_equal(flown.state[step], policy.state[0])
        np.testing.assert_array_equal(flown.command[step], policy.step(image, 0.05).as_array())
        np.testing.assert_array_equal(flown.next_state[step], policy.state[0])


def fresh(preset):
    torch.manual_seed(3)
    network = build_network(NetworkSpec(preset=preset)).eval()
    data = to_onnx(network, 64, 96).SerializeToString()
    card = PolicyCard("FlyToTarget", (), preset, "", network.state_size, 0, 0, 0, 0, 0)
    return network, PolicyGraph(PolicyFile(preset, data, Contents(), card))


@pytest.mark.slow
def test_a_cfcs_time_constants_are_those_of_its_equation():
    """f of the first layer, by hand: its row of weights times input and state, plus its bias."""
    network, graph = fresh("cfc-strict")
    image, state = scene((40, 30)), np.zeros((1, network.state_size), np.float32)
    flown = replay_of(image, state)
    found = time_constants(graph, flown)
    with torch.no_grad():
        features = network.vision(torch.from_numpy(image[None]))
        layer = network.core.effective_weights()[0]
        heads = features @ layer.forward + layer.bias
    f = heads.chunk(4, dim=1)[2].abs().numpy() * 20.0
    assert found.seconds.shape == (1, network.state_size)
    np.testing.assert_allclose(found.seconds[:, : f.shape[1]], np.minimum(1.0 / f, 1e3), rtol=1e-3)
    assert "1/|f|" in found.meaning


def replay_of(image, state):
    from navstack.policies.explain.replay import Replay

    return Replay(image[None], np.array([0.05], np.float32), state, state, np.zeros((1, 4), np.float32))


def test_the_layers_of_a_wired_policy_have_names():
    card = read_policy("fly-to-target").card
    assert [layer.name for layer in layers_of(card)] == ["inter", "command", "motor"]
    assert sum(layer.neurons for layer in layers_of(card)) == card.state_size


@given(
    inter=st.integers(1, 70), command=st.integers(2, 60), inputs=st.integers(1, 50), seed=st.integers(0, 99)
)
@settings(max_examples=25, deadline=None)
def test_no_two_neurons_stand_in_one_place(inter, command, inputs, seed):
    wiring = ncp(
        inputs, inter, command, 4, sensory_fanout=1, inter_fanout=1, recurrent_command_synapses=3,
        motor_fanin=1, seed=seed,
    )  # fmt: skip
    sensory, neurons = places(wiring)
    everywhere = np.concatenate([sensory, neurons])
    assert everywhere.shape == (inputs + wiring.neurons, 2)
    assert everywhere.min() >= 0.0
    assert everywhere.max() <= 1.0
    apart = np.linalg.norm(everywhere[:, None] - everywhere[None], axis=2)
    assert apart[~np.eye(len(apart), dtype=bool)].min() > 0.005


def test_every_synapse_is_drawn_with_its_polarity():
    wiring = auto_ncp(5, 20, 4)
    source, target, polarity = synapses(wiring)
    assert len(source) == wiring.synapses
    from_inputs = source < 5
    np.testing.assert_array_equal(
        wiring.sensory[source[from_inputs], target[from_inputs]], polarity[from_inputs]
    )
    np.testing.assert_array_equal(
        wiring.internal[source[~from_inputs] - 5, target[~from_inputs]], polarity[~from_inputs]
    )


def test_structural_similarity_is_that_of_scikit_image():
    """scikit-image 0.26.0, structural_similarity(data_range=1, gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False), over these same arrays."""
    rng = np.random.default_rng(7)
    a = rng.random((64, 96))
    b = np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1)
    c = rng.random((64, 96))
    assert ssim(a, b) == pytest.approx(0.8273827101143296, abs=1e-6)
    assert ssim(a, c) == pytest.approx(0.01615802193717924, abs=1e-6)
    assert ssim(a, 1 - a) == pytest.approx(-0.966000627581421, abs=1e-6)
    assert ssim(a, a) == pytest.approx(1.0)


def test_noise_has_the_deviation_that_was_asked_for():
    grey = np.full((4, 64, 96, 3), 128, np.uint8)
    noisy = add_noise(grey, 12.0, np.random.default_rng(0))
    assert noisy.std() == pytest.approx(12.0, rel=0.03)
    np.testing.assert_array_equal(add_noise(grey, 0.0, np.random.default_rng(0)), grey)


def episode(folder, images):
    count = len(images)
    facts = EpisodeFacts("FlyToTarget", "meadow", 0, "success", "expert", 0, 0)
    rows, three = np.zeros((count, 4), np.float32), np.zeros((count, 3), np.float32)
    times = np.full(count, 0.05, np.float32)
    yaw = np.zeros(count, np.float32)
    return save_episode(folder, Episode(facts, np.stack(images), times, rows, rows, three, three, yaw))


def test_a_flight_is_explained_in_files(tmp_path, capsys):
    path = episode(tmp_path, [scene((40, 20 + 5 * step)) for step in range(9)])
    out = tmp_path / "explained"
    assert Flight("fly-to-target", path, out)() == 0
    names = {entry.name for entry in out.iterdir()}
    assert set(FILES) <= names
    for name in ("attention.mp4", "wiring.mp4"):
        assert int(cv2.VideoCapture(str(out / name)).get(cv2.CAP_PROP_FRAME_COUNT)) == 9
    facts = json.loads((out / "explain.json").read_text())
    means = facts["steadiness"]["ssim_mean"]["VisualBackProp"]
    assert means[0] == 1.0
    assert means[-1] < 0.999
    assert set(facts["time_constants"]["seconds_by_layer"]) == {"inter", "command", "motor"}
    assert str(out / "neurons.png") in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(InputError, match="not empty"):
        Flight("fly-to-target", path, out)()


def test_what_cannot_be_explained_is_refused_before_anything_is_written(tmp_path):
    small = episode(tmp_path, [np.zeros((32, 48, 3), np.uint8)] * 2)
    out = tmp_path / "out"
    for flight, sentence in (
        (small, r"the image is uint8 \(32, 48, 3\); the policy expects"),
        (tmp_path / "film.mp4", "expected a flight log"),
        (tmp_path / "none.safetensors", "not an episode"),
    ):
        with pytest.raises(InputError, match=sentence):
            Flight("fly-to-target", flight, out)()
        assert not out.exists()
    assert read_recording(small, 20.0).first.tolist() == [True, False]
