"""Small policy files, made with the onnx package, for tests of whoever loads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper

from navstack.card import card_to_json
from navstack.contract import CameraSpec, PolicyCard

# A shared machine may be slow for a moment; that is no failure of what is tested.
settings.register_profile("navstack", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("navstack")

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
Shape = Sequence[int | str | None]


def toy_card(**changes: Any) -> PolicyCard:
    """The card of a policy with three numbers of state and an 8 x 12 camera."""
    values: dict[str, Any] = {
        "task": "FlyToTarget",
        "targets": ("chair", "ball"),
        "network": "toy",
        "wiring": "strict",
        "state_size": 3,
        "effective_parameters": 0,
        "raw_parameters": 0,
        "vision_parameters": 0,
        "neurons": 3,
        "synapses": 3,
        "camera": CameraSpec(height=8, width=12),
    }
    return PolicyCard(**(values | changes))


def toy_model(
    card: PolicyCard | None = None,
    *,
    types: dict[str, int] | None = None,
    shapes: dict[str, Shape] | None = None,
    names: dict[str, str] | None = None,
    gain: float = 1.0,
    nodes: Sequence[onnx.NodeProto] = (),
) -> onnx.ModelProto:
    """A policy whose step a test can follow by hand, with the declared types, shapes and names changed.

    next_state is half the state plus the mean colour in 0..1 plus dt; the command is 0.9 tanh(next_state) and
    0.9 tanh(dt), times the gain. `nodes` turn "raw" into "cooked" on the way to the command.
    """
    kinds = {"image": UINT8, "dt": FLOAT, "state": FLOAT, "command": FLOAT, "next_state": FLOAT} | (
        types or {}
    )
    dims = {
        "image": ("N", 8, 12, 3), "dt": ("N", 1), "state": ("N", 3),
        "command": ("N", 4), "next_state": ("N", 3),
    } | (shapes or {})  # fmt: skip
    called = {name: name for name in kinds} | (names or {})
    numbers = {"axes": (TensorProto.INT64, [1, 2]), "white": (FLOAT, [255.0]), "half": (FLOAT, [0.5])}
    numbers |= {"low": (FLOAT, [0.01]), "high": (FLOAT, [0.3]), "gain": (FLOAT, [0.9 * gain])}
    node = helper.make_node
    steps = [
        *(node("Cast", [called[name]], [f"{name}_f"], to=FLOAT) for name in ("image", "dt", "state")),
        node("ReduceMean", ["image_f", "axes"], ["mean"], keepdims=0),
        node("Div", ["mean", "white"], ["color"]),
        node("Max", ["dt_f", "low"], ["dt_low"]),
        node("Min", ["dt_low", "high"], ["time"]),
        node("Mul", ["state_f", "half"], ["kept"]),
        node("Add", ["kept", "color"], ["seen"]),
        node("Add", ["seen", "time"], ["next"]),
        node("Concat", ["next", "time"], ["all"], axis=1),
        node("Tanh", ["all"], ["bounded"]),
        node("Mul", ["bounded", "gain"], ["raw"]),
        *(nodes or [node("Identity", ["raw"], ["cooked"])]),
        node("Cast", ["cooked"], [called["command"]], to=kinds["command"]),
        node("Cast", ["next"], [called["next_state"]], to=kinds["next_state"]),
    ]
    values = {name: helper.make_tensor_value_info(called[name], kinds[name], dims[name]) for name in kinds}
    graph = helper.make_graph(
        steps,
        "toy",
        [values["image"], values["dt"], values["state"]],
        [values["command"], values["next_state"]],
        [helper.make_tensor(name, kind, [len(data)], data) for name, (kind, data) in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    model.metadata_props.add(key="navstack", value=card_to_json(card or toy_card()))
    return model


@pytest.fixture
def make_policy(tmp_path: Path) -> Callable[..., Path]:
    """Writes `toy_model` with the changes given (or the model given) and returns its path."""

    def make(model: onnx.ModelProto | None = None, **changes: Any) -> Path:
        path = tmp_path / "policy.onnx"
        path.write_bytes((model or toy_model(**changes)).SerializeToString())
        return path

    return make


@pytest.fixture
def make_model() -> Callable[..., onnx.ModelProto]:
    """`toy_model`."""
    return toy_model


@pytest.fixture
def make_card() -> Callable[..., PolicyCard]:
    """`toy_card`."""
    return toy_card
