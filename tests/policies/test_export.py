"""The exported file computes what the network computes, and nothing else is in it."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from navstack.errors import InputError
from navstack.policies import export
from navstack.policies.cores import CORES
from navstack.policies.export import export_policy, largest_difference, policy_card, weights_hash
from navstack.policies.network import NetworkSpec, build_network
from navstack.policy import OnnxPolicy

WIRED = ("cfc-strict", "cfc-ncps")


def make(preset="cfc-strict", seed=0):
    torch.manual_seed(seed)
    spec = NetworkSpec(preset=preset)
    network = build_network(spec)
    return network, policy_card(network, spec, "FlyToTarget", ("box",), {"seed": seed})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    made = {}
    for preset in WIRED:
        network, card = make(preset)
        path = folder / f"{preset}.onnx"
        export_policy(network, card, path)
        made[preset] = (network, card, path)
    return made


@pytest.mark.parametrize("preset", WIRED)
def test_onnx_runtime_agrees_with_torch_over_500_steps_of_irregular_time(exported, preset):
    network, card, path = exported[preset]
    assert largest_difference(network, path.read_bytes(), card, steps=500) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("preset", CORES)
def test_every_network_exports_and_agrees_over_1000_steps_of_irregular_time(preset, tmp_path):
    network, card = make(preset)
    export_policy(network, card, tmp_path / "policy.onnx")
    assert largest_difference(network, (tmp_path / "policy.onnx").read_bytes(), card, steps=1000) < 1e-5
    assert OnnxPolicy.load(tmp_path / "policy.onnx").card.network == preset


@pytest.mark.parametrize("preset", WIRED)
def test_the_file_is_small_and_of_the_plain_default_domain(exported, preset):
    _, _, path = exported[preset]
    model = onnx.load(str(path), load_external_data=False)
    assert path.stat().st_size < 500_000
    assert {opset.domain for opset in model.opset_import} == {""}
    assert model.opset_import[0].version <= 21
    assert model.ir_version <= 10
    assert not model.functions
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert [value.name for value in model.graph.input] == ["image", "dt", "state"]
    assert [value.name for value in model.graph.output] == ["command", "next_state"]


def test_pixels_become_floats_in_one_pass_after_they_were_padded_as_bytes(exported):
    model = onnx.load(str(exported["cfc-strict"][2]))
    assert [node.op_type for node in model.graph.node[:4]] == ["Pad", "Transpose", "DequantizeLinear", "Conv"]
    dequantize = model.graph.node[2]
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scale, zero = (constants[name] for name in dequantize.input[1:])
    assert (scale, zero) == (1.0, 128)
    assert zero.dtype == np.uint8


def test_masks_are_folded_into_the_weights(exported):
    network, _, path = exported["cfc-strict"]
    model = onnx.load(str(path))
    values = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    dense = 4 * network.state_size * (network.vision.feature_size + network.state_size)
    assert values < network.vision.parameter_count() + dense


def test_paths_and_dates_stay_out_of_the_file(exported):
    data = exported["cfc-strict"][2].read_bytes()
    assert not any(trace in data for trace in (b".py", b"site-packages", b"stack_trace", b"torch"))


def test_the_batch_is_dynamic(exported):
    network, _, path = exported["cfc-strict"]
    session = onnxruntime.InferenceSession(path.read_bytes())
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 64, 96, 3), dtype=np.uint8)
    dt = rng.uniform(0.02, 0.3, (5, 1)).astype(np.float32)
    state = rng.normal(size=(5, network.state_size)).astype(np.float32)
    together = session.run(None, {"image": image, "dt": dt, "state": state})
    for row in range(5):
        part = slice(row, row + 1)
        alone = session.run(None, {"image": image[part], "dt": dt[part], "state": state[part]})
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[part], b, atol=1e-5)


def test_the_same_weights_give_the_same_bytes_and_others_do_not(exported, tmp_path):
    _, _, path = exported["cfc-strict"]
    network, card = make()
    export_policy(network, card, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()
    network, _ = make(seed=1)
    export_policy(network, card, tmp_path / "other.onnx")
    assert weights_hash(tmp_path / "other.onnx") != weights_hash(path)


@pytest.mark.parametrize("training", [True, False])
def test_an_export_leaves_the_network_in_the_mode_it_had(tmp_path, training):
    network, card = make()
    network.train(training)
    export_policy(network, card, tmp_path / "policy.onnx")
    assert all(module.training is training for module in network.modules())


def test_the_hash_does_not_see_the_card(exported, tmp_path):
    network, _, path = exported["cfc-strict"]
    other = policy_card(network, NetworkSpec(), "FlyToTarget", ("cone",), {"seed": 5})
    export_policy(network, other, tmp_path / "other.onnx")
    assert weights_hash(tmp_path / "other.onnx") == weights_hash(path)


def test_the_policy_loads_with_the_card_that_was_written(exported):
    _, card, path = exported["cfc-ncps"]
    policy = OnnxPolicy.load(path)
    assert policy.card == card
    assert policy.card.wiring == "ncps"
    command = policy.step(np.zeros((64, 96, 3), np.uint8), 0.05)
    assert command.is_finite()


def test_a_graph_that_differs_is_not_written(monkeypatch, tmp_path):
    network, card = make()
    monkeypatch.setattr(export, "largest_difference", lambda *_: 3e-4)
    with pytest.raises(InputError, match=r"differs from torch by 0\.0003"):
        export_policy(network, card, tmp_path / "policy.onnx")
    assert not list(tmp_path.iterdir())


def test_a_difference_is_found(exported):
    _, card, path = exported["cfc-strict"]
    other, _ = make(seed=1)
    assert largest_difference(other, path.read_bytes(), card, steps=5) > 1e-2
