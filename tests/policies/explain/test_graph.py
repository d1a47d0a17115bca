"""The exported file on torch computes what ONNX Runtime computes, and can be derived."""

import numpy as np
import onnxruntime
import pytest
import torch

from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.onnx_file import Contents
from navstack.policies.cores import CORES
from navstack.policies.explain import operators
from navstack.policies.explain.graph import PolicyGraph
from navstack.policies.export import to_onnx
from navstack.policies.network import NetworkSpec, build_network
from navstack.policy import PolicyFile, read_policy


@pytest.fixture(scope="module")
def shipped():
    return PolicyGraph(read_policy("fly-to-target"))


def frames(count, size, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (count, 64, 96, 3), dtype=np.uint8),
        rng.uniform(0.01, 0.4, (count, 1)).astype(np.float32),
        rng.uniform(-1.0, 1.0, (count, size)).astype(np.float32),
    )


def compare(data, graph, size):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    image, dt, state = frames(3, size)
    command, following = session.run(["command", "next_state"], {"image": image, "dt": dt, "state": state})
    values = graph.run(*map(torch.from_numpy, (image, dt, state)))
    np.testing.assert_allclose(values["command"].numpy(), command, atol=1e-4)
    np.testing.assert_allclose(values["next_state"].numpy(), following, atol=1e-4)


def test_the_policy_that_ships_computes_the_same(shipped):
    compare(read_policy("fly-to-target").data, shipped, shipped.card.state_size)


@pytest.mark.slow
@pytest.mark.parametrize("preset", CORES)
def test_every_preset_computes_the_same(preset):
    torch.manual_seed(0)
    network = build_network(NetworkSpec(preset=preset))
    data = to_onnx(network, 64, 96).SerializeToString()
    card = PolicyCard("FlyToTarget", (), preset, "", network.state_size, 0, 0, 0, 0, 0)
    compare(data, PolicyGraph(PolicyFile(preset, data, Contents(), card)), network.state_size)


def test_a_derivative_by_a_pixel_is_the_slope_of_the_command(shipped):
    image, dt, state = map(torch.from_numpy, frames(1, shipped.card.state_size))
    pixels = image.double().float().requires_grad_()
    command = shipped.run(pixels, dt, state)["command"][0, 0]
    (gradient,) = torch.autograd.grad(command, pixels)
    place = np.unravel_index(int(gradient.abs().argmax()), gradient.shape)
    moved = []
    for step in (-4.0, 4.0):
        other = image.float()
        other[place] += step
        moved.append(float(shipped.run(other, dt, state)["command"][0, 0]))
    assert (moved[1] - moved[0]) / 8.0 == pytest.approx(float(gradient[place]), rel=0.1)


def test_what_depends_on_time_alone_is_known(shipped):
    only_dt = shipped.depending_on("dt")
    assert "dt" in only_dt
    assert not {"image", "state", "command", "next_state"} & only_dt
    assert {"image", "dt"} < shipped.depending_on("image", "dt")


def test_an_operator_that_is_not_known_is_named(monkeypatch):
    monkeypatch.delitem(operators.OPERATORS, "Gemm")
    with pytest.raises(InputError, match=r"fly-to-target: .*operator 'Gemm'"):
        PolicyGraph(read_policy("fly-to-target"))
