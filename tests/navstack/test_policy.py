"""A policy file is loaded, reset and stepped; what does not meet the contract is refused in a sentence."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, helper

from navstack.contract import CameraSpec, PolicyCard
from navstack.errors import InputError
from navstack.policy import LARGEST, OnnxPolicy, read_policy

MakePolicy = Callable[..., Path]
MakeModel = Callable[..., onnx.ModelProto]
MakeCard = Callable[..., PolicyCard]
SHAPE = (8, 12, 3)
IMAGE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


def followed_by_hand(image: np.ndarray, dt: float, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The toy policy's step in numpy: command (4,), next state (3,)."""
    time = np.clip(dt, 0.01, 0.3)
    after = 0.5 * state + image.reshape(-1, 3).mean(axis=0) / 255.0 + time
    return 0.9 * np.tanh(np.append(after, time)), after


# -- steps


def test_steps_compute_the_graph_and_carry_the_state(make_policy: MakePolicy) -> None:
    policy, state = OnnxPolicy.load(make_policy()), np.zeros(3)
    rng = np.random.default_rng(1)
    for dt in (0.05, 0.021, 0.2, 7.0):
        image = rng.integers(0, 256, SHAPE, dtype=np.uint8)
        expected, state = followed_by_hand(image, dt, state)
        np.testing.assert_allclose(policy.step(image, dt).as_array(), expected, atol=1e-6)
        np.testing.assert_allclose(policy.state[0], state, atol=1e-6)


def test_loading_leaves_a_zero_state_and_reset_returns_to_it(make_policy: MakePolicy) -> None:
    policy = OnnxPolicy.load(make_policy())
    np.testing.assert_array_equal(policy.state, np.zeros((1, 3), dtype=np.float32))
    first = [policy.step(IMAGE, 0.05) for _ in range(3)]
    policy.reset()
    np.testing.assert_array_equal(policy.state, np.zeros((1, 3), dtype=np.float32))
    assert [policy.step(IMAGE, 0.05) for _ in range(3)] == first
    assert first[0] != first[1]


def test_the_state_that_is_shown_cannot_be_changed(make_policy: MakePolicy) -> None:
    policy = OnnxPolicy.load(make_policy())
    policy.step(IMAGE, 0.05)
    shown = policy.state
    with pytest.raises(ValueError, match="read-only"):
        shown[0, 0] = 1.0
    policy.step(IMAGE, 0.05)
    assert not np.array_equal(shown, policy.state)


def test_two_policies_of_one_file_do_not_share_their_state(make_policy: MakePolicy) -> None:
    path = make_policy()
    one, other = OnnxPolicy.load(path), OnnxPolicy.load(path)
    one.step(IMAGE, 0.05)
    assert not other.state.any()


def test_an_image_that_is_a_view_of_a_larger_one_is_seen_as_it_is(make_policy: MakePolicy) -> None:
    policy = OnnxPolicy.load(make_policy())
    large = np.random.default_rng(2).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    view = large[::2, 1::2]
    command = policy.step(view, 0.05)
    policy.reset()
    assert policy.step(view.copy(), 0.05) == command


def test_steps_allocate_nothing_that_grows(make_policy: MakePolicy) -> None:
    policy = OnnxPolicy.load(make_policy())

    def fly(steps: int) -> int:
        for _ in range(steps):
            policy.step(IMAGE, 0.05)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = fly(200)
        assert fly(1000) - before < 2000  # bytes
    finally:
        tracemalloc.stop()


def test_the_session_has_one_thread_that_does_not_spin(
    make_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    session = onnxruntime.InferenceSession

    def spy(data: bytes, options: Any, **rest: Any) -> Any:
        seen.append((data, options))
        return session(data, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    path = make_policy()
    OnnxPolicy.load(path)
    ((data, options),) = seen
    assert data == path.read_bytes()  # bytes, so that nothing beside the file can be reached
    assert options.intra_op_num_threads == options.inter_op_num_threads == 1
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("dt", [0.0, -0.05, float("nan"), float("inf"), -float("inf")])
def test_a_dt_that_is_not_finite_and_positive_is_refused(make_policy: MakePolicy, dt: float) -> None:
    policy = OnnxPolicy.load(make_policy())
    policy.step(IMAGE, 0.05)
    before = policy.state
    with pytest.raises(InputError, match="finite, positive number of seconds"):
        policy.step(IMAGE, dt)
    np.testing.assert_array_equal(policy.state, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((12, 8, 3), np.uint8),
        np.zeros((8, 12, 4), np.uint8),
        np.zeros((1, 8, 12, 3), np.uint8),
        np.zeros((8, 12), np.uint8),
        np.zeros(SHAPE, np.float32),
        np.zeros(SHAPE, np.int8),
        [[[0, 0, 0]]],
        None,
    ],
)
def test_an_image_of_another_shape_or_type_is_refused(make_policy: MakePolicy, image: Any) -> None:
    policy = OnnxPolicy.load(make_policy())
    with pytest.raises(InputError, match=r"expects uint8 \(8, 12, 3\)"):
        policy.step(image, 0.05)
    assert not policy.state.any()


# -- files that are refused


def refused(path: Path, reason: str) -> None:
    """Loading names the file and the reason in one sentence."""
    with pytest.raises(InputError, match=reason) as error:
        OnnxPolicy.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_path_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "neither a file nor a policy that ships")
    refused(tmp_path, "is a folder; name the policy.onnx in it")


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"hello, I am a text file\n" * 9, b"PK\x03\x04" * 50])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(data)
    refused(path, "not an ONNX file")


def test_a_file_cut_short_anywhere_is_refused(make_policy: MakePolicy, tmp_path: Path) -> None:
    whole, path = make_policy().read_bytes(), tmp_path / "short.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            OnnxPolicy.load(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4)
)
@example(flips=[(0.541015625, 128)])  # the name of a dimension is no UTF-8
def test_a_damaged_file_is_refused_or_still_a_policy(make_policy: MakePolicy, flips: list[Any]) -> None:
    path = make_policy()
    data = bytearray(path.read_bytes())
    for where, value in flips:
        data[int(where * len(data))] = value
    path.write_bytes(bytes(data))
    try:
        policy = OnnxPolicy.load(path)
    except InputError:
        return
    shape = (policy.card.camera.height, policy.card.camera.width, 3)
    assert policy.step(np.zeros(shape, np.uint8), 0.05).is_finite()


def test_a_file_over_16_mib_is_refused_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    refused(path, "16.0 MiB; a policy file has at most 16 MiB")


def test_a_policy_with_16_mib_of_weights_is_refused(make_policy: MakePolicy, make_model: MakeModel) -> None:
    model = make_model()
    model.graph.initializer.add(name="ballast", data_type=TensorProto.UINT8, dims=[LARGEST]).raw_data = bytes(
        LARGEST
    )
    refused(make_policy(model), "at most 16 MiB")


def test_weights_in_another_file_are_refused(make_model: MakeModel, tmp_path: Path) -> None:
    model, path = make_model(), tmp_path / "policy.onnx"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(4096, np.float32), "ballast"))
    onnx.save_model(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=100)
    assert (tmp_path / "weights.bin").is_file()
    refused(path, "external data")


def test_weights_in_another_file_are_found_inside_attributes(
    make_policy: MakePolicy, make_model: MakeModel, tmp_path: Path
) -> None:
    tensor = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "c")
    external_data_helper.set_external_data(tensor, location=str(tmp_path / "secret"))
    tensor.ClearField("raw_data")
    nodes = [
        helper.make_node("Constant", [], ["c"], value=tensor),
        helper.make_node("Add", ["raw", "c"], ["cooked"]),
    ]
    refused(make_policy(make_model(nodes=nodes)), "external data")


def test_operators_of_another_domain_are_refused(make_policy: MakePolicy, make_model: MakeModel) -> None:
    model = make_model(nodes=[helper.make_node("Gelu", ["raw"], ["cooked"], domain="com.microsoft")])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )  # it would run
    refused(make_policy(model), "domain com.microsoft; only those of ONNX's default domain")


def test_operators_of_another_domain_are_found_inside_branches(
    make_policy: MakePolicy, make_model: MakeModel
) -> None:
    value = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    branch = helper.make_graph(
        [helper.make_node("Gelu", ["raw"], ["out"], domain="com.microsoft")], "branch", [], [value]
    )
    always = helper.make_tensor("always", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("Constant", [], ["always"], value=always),
        helper.make_node("If", ["always"], ["cooked"], then_branch=branch, else_branch=branch),
    ]
    model = make_model(nodes=nodes)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    refused(make_policy(model), "com.microsoft")


def test_an_import_of_another_domain_alone_is_refused(make_policy: MakePolicy, make_model: MakeModel) -> None:
    model = make_model()
    model.opset_import.append(helper.make_opsetid("pkg.onnxscript.torch_lib", 1))
    refused(make_policy(model), "pkg.onnxscript.torch_lib")


def test_operators_that_the_file_defines_itself_are_refused(
    make_policy: MakePolicy, make_model: MakeModel
) -> None:
    model = make_model()
    model.functions.append(
        helper.make_function(
            "", "Mine", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 18)]
        )
    )
    refused(make_policy(model), "operators that the file defines itself")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ({"dt": "delta"}, "inputs are image, delta, state; expected image, dt, state"),
        ({"image": "camera"}, "inputs are camera, dt, state"),
        ({"command": "action"}, "outputs are action, next_state; expected command, next_state"),
        ({"next_state": "hidden"}, "outputs are command, hidden"),
    ],
)
def test_other_names_of_inputs_and_outputs_are_refused(
    make_policy: MakePolicy, names: dict[str, str], reason: str
) -> None:
    refused(make_policy(names=names), reason)


def test_one_input_too_many_or_one_output_too_few_is_refused(
    make_policy: MakePolicy, make_model: MakeModel
) -> None:
    model = make_model()
    model.graph.input.append(helper.make_tensor_value_info("position", TensorProto.FLOAT, ("N", 3)))
    refused(make_policy(model), "inputs are image, dt, state, position")
    model = make_model()
    del model.graph.output[1]
    refused(make_policy(model), "outputs are command; expected command, next_state")


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("image", TensorProto.FLOAT, "'image' is a tensor.float.; expected uint8"),
        ("dt", TensorProto.DOUBLE, "'dt' is a tensor.double.; expected float32"),
        ("state", TensorProto.FLOAT16, "'state' is a tensor.float16.; expected float32"),
        ("command", TensorProto.DOUBLE, "'command' is a tensor.double.; expected float32"),
        ("next_state", TensorProto.INT64, "'next_state' is a tensor.int64.; expected float32"),
    ],
)
def test_other_types_are_refused(make_policy: MakePolicy, name: str, kind: int, reason: str) -> None:
    refused(make_policy(types={name: kind}), reason)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("image", ("N", 3, 8, 12)),
        ("image", ("N", 12, 8, 3)),
        ("image", (1, 8, 12, 3)),
        ("dt", ("N",)),
        ("dt", (1, 1)),
        ("dt", ("N", 2)),
        ("state", ("N", 4)),
        ("state", ("N", 1, 3)),
        ("next_state", (1, 3)),
    ],
)
def test_other_shapes_are_refused(make_policy: MakePolicy, name: str, shape: Any) -> None:
    path = make_policy(shapes={name: shape})
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: (its '{name}' is|ONNX Runtime)"):
        OnnxPolicy.load(path)


def test_a_card_of_another_camera_or_state_is_refused(make_policy: MakePolicy, make_card: MakeCard) -> None:
    refused(
        make_policy(card=make_card(camera=CameraSpec())),
        r"'image' is \['N', 8, 12, 3\]; expected \[N, 64, 96, 3\]",
    )
    refused(make_policy(card=make_card(state_size=5)), r"'state' is \['N', 3\]; expected \[N, 5\]")


def cut_by_data(axis: int, end: int) -> list[onnx.NodeProto]:
    """raw cut off at `end`, in a way that nobody can know without running it."""
    node = helper.make_node
    numbers = {"start": [0], "axis": [axis], "end0": [end]}
    return [
        *(
            node("Constant", [], [name], value=helper.make_tensor(name, TensorProto.INT64, [1], value))
            for name, value in numbers.items()
        ),
        node("ReduceMin", ["dt_f"], ["dt_min"], keepdims=0),
        node("IsNaN", ["dt_min"], ["never"]),
        node("Cast", ["never"], ["nothing"], to=TensorProto.INT64),
        node("Add", ["end0", "nothing"], ["end"]),
        node("Slice", ["raw", "start", "end", "axis"], ["cooked"]),
    ]


def test_sizes_that_the_file_leaves_open_are_found_out_by_stepping(make_policy: MakePolicy) -> None:
    shapes = {"command": ("N", "K")}
    refused(
        make_policy(nodes=cut_by_data(axis=1, end=2), shapes=shapes), r"'command' is \(1, 2\) on a trial step"
    )


def test_a_graph_made_for_one_frame_alone_is_refused(make_policy: MakePolicy) -> None:
    refused(
        make_policy(nodes=cut_by_data(axis=0, end=1)),
        r"'command' is \(1, 4\) on a trial step; expected \(2, 4\)",
    )


def test_a_step_that_fails_is_refused(make_policy: MakePolicy) -> None:
    nodes = [*cut_by_data(axis=1, end=3), helper.make_node("Add", ["cooked", "raw"], ["sum"])]
    refused(make_policy(nodes=nodes), "a trial step of 1 at once fails")


@pytest.mark.parametrize(("operator", "reason"), [("Log", "not finite"), ("Reciprocal", "not finite")])
def test_a_command_that_is_not_finite_is_refused(make_policy: MakePolicy, operator: str, reason: str) -> None:
    # tanh is below 1 on the toy's first steps and rounds to 1 on none, so the difference to 0 is made here
    nodes = [
        helper.make_node("Sub", ["raw", "raw"], ["zero"]),
        helper.make_node(operator, ["zero"], ["cooked"]),
    ]
    refused(make_policy(nodes=nodes), f"'command' is {reason} on a trial step")


def test_a_command_beyond_the_limits_is_refused(make_policy: MakePolicy) -> None:
    refused(make_policy(gain=3.0), "beyond the card's Limits")


def test_a_file_without_a_card_is_refused(make_policy: MakePolicy, make_model: MakeModel) -> None:
    model = make_model()
    del model.metadata_props[:]
    refused(make_policy(model), "no policy card")


def test_a_file_with_two_cards_is_refused(make_policy: MakePolicy, make_model: MakeModel) -> None:
    model = make_model()
    model.metadata_props.add(key="navstack", value=model.metadata_props[0].value)
    refused(make_policy(model), "2 policy cards; expected one")


def test_a_card_of_a_newer_format_is_refused_before_anything_else(
    make_policy: MakePolicy, make_model: MakeModel
) -> None:
    model = make_model(names={"dt": "something_new"})
    model.metadata_props[0].value = json.dumps({"format": 2, "something": "new"})
    refused(make_policy(model), "has format 2, and this navstack reads up to 1; upgrade navstack")


def test_a_card_that_is_wrong_is_refused_with_its_field(
    make_policy: MakePolicy, make_model: MakeModel
) -> None:
    model = make_model()
    card = json.loads(model.metadata_props[0].value)
    model.metadata_props[0].value = json.dumps(card | {"rate_hz": "twenty"})
    refused(make_policy(model), "'rate_hz' is 'twenty'; expected a number")


def test_a_graph_that_onnx_runtime_cannot_run_is_refused(make_policy: MakePolicy) -> None:
    refused(
        make_policy(nodes=[helper.make_node("NoSuchOperator", ["raw"], ["cooked"])]),
        "ONNX Runtime .* cannot load it",
    )


# -- cameras and tasks


def test_a_camera_as_the_card_states_is_accepted(make_policy: MakePolicy) -> None:
    policy = OnnxPolicy.load(make_policy())
    policy.check_camera(policy.card.camera)
    policy.check_camera(
        CameraSpec(height=8, width=12, horizontal_fov=policy.card.camera.horizontal_fov + 0.01)
    )
    policy.check_camera(CameraSpec(height=8, width=12, latency=0.04))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"height": 16}, "camera of height 8; this one has 16"),
        ({"width": 16}, "camera of width 12; this one has 16"),
        ({"horizontal_fov": 1.2}, "camera of horizontal fov 1.396; this one has 1.2"),
        ({"pitch": 0.3}, "camera of pitch 0; this one has 0.3"),
        ({"latency": 0.2}, "camera of latency 0; this one has 0.2"),
        ({"latency": float("nan")}, "camera of latency 0; this one has nan"),
        ({"color_order": "BGR"}, "needs RGB images; this camera gives BGR"),
    ],
)
def test_another_camera_is_refused(make_policy: MakePolicy, changes: dict[str, Any], reason: str) -> None:
    policy = OnnxPolicy.load(make_policy())
    with pytest.raises(InputError, match=reason):
        policy.check_camera(CameraSpec(**({"height": 8, "width": 12} | changes)))


def test_another_task_is_refused(make_policy: MakePolicy) -> None:
    policy = OnnxPolicy.load(make_policy())
    policy.check_task("FlyToTarget")
    with pytest.raises(InputError, match="trained for FlyToTarget, not for Follow"):
        policy.check_task("Follow")


def test_reading_a_policy_gives_its_card_without_running_it(
    make_policy: MakePolicy, make_card: MakeCard
) -> None:
    path = make_policy(gain=3.0)  # would be refused on the trial step
    file = read_policy(path)
    assert file.card == make_card()
    assert file.data == path.read_bytes()
