"""A network becomes `policy.onnx`: one self-contained file, checked against the network that it came from."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto
from onnxscript import optimizer
from onnxscript.rewriter import pattern, rewrite
from torch import Tensor, nn

import navstack
from navstack.card import card_to_json
from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.files import write_atomically
from navstack.policies.network import NetworkSpec, PolicyNetwork
from navstack.policy import CARD_KEY

OPSET = 18
IR_VERSION = 9
"""onnxruntime 1.18, the oldest that the README names, reads IR up to 10 and opset up to 21; 18 is enough."""
TOLERANCE = 1e-5  # largest difference between ONNX Runtime and torch, in limits and in the state
CHECK_STEPS = 500
FOLD_LIMIT = 1 << 20  # values: masks times weights become plain weights up to this size


class ExportError(InputError):
    """The exported file does not compute what the network computes."""


def policy_card(
    network: PolicyNetwork,
    spec: NetworkSpec,
    task: str,
    targets: tuple[str, ...],
    training: dict[str, object],
    evaluation: tuple[dict[str, object], ...] = (),
) -> PolicyCard:
    """The card of a network, its sizes counted."""
    core = network.core
    return PolicyCard(
        task=task,
        targets=targets,
        network=spec.preset,
        wiring=core.connectivity,
        state_size=core.state_size,
        effective_parameters=core.effective_parameters(),
        raw_parameters=core.raw_parameters(),
        vision_parameters=network.vision.parameter_count(),
        neurons=core.neurons,
        synapses=core.synapses,
        camera=spec.camera,
        rate_hz=spec.rate_hz,
        dt_min=spec.dt_min,
        dt_max=spec.dt_max,
        limits=spec.limits,
        training=training,
        evaluation=evaluation,
        code_version=navstack.__version__,
    )


def export_policy(network: PolicyNetwork, card: PolicyCard, path: Path, tolerance: float = TOLERANCE) -> None:
    """Write the network as `policy.onnx`, after checking that it computes what the network computes.

    The bytes depend on the weights and the card alone.

    Raises:
        ExportError: where the exported graph differs from the network by more than `tolerance`, in limits
            and in the state.
        InputError: where the disk is full.
    """
    model = to_onnx(network, card.camera.height, card.camera.width)
    model.metadata_props.add(key=CARD_KEY, value=card_to_json(card))
    data = model.SerializeToString(deterministic=True)
    worst = largest_difference(network, data, card)
    if not worst <= tolerance:
        raise ExportError(
            f"{path}: ONNX Runtime differs from torch by {worst:.2g} over {CHECK_STEPS} steps; at most"
            f" {tolerance:g} is allowed, so the file was not written"
        )
    write_atomically(path, data)


class _Step(nn.Module):
    """One step of a network with named inputs, for the exporter."""

    def __init__(self, network: PolicyNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, dt: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.step(image, dt, state)


def to_onnx(network: PolicyNetwork, height: int, width: int) -> onnx.ModelProto:
    """The network's step as a model: inputs image, dt, state; outputs command, next_state; N is dynamic."""
    size = network.state_size
    example = (
        torch.zeros(2, height, width, 3, dtype=torch.uint8),
        torch.full((2, 1), 0.05),
        torch.zeros(2, size),
    )
    batch = torch.export.Dim("N", min=1)
    with warnings.catch_warnings(), _as_it_flies(network):
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            _Step(network), example, dynamo=True, opset_version=OPSET,
            external_data=False, verbose=False,
            input_names=["image", "dt", "state"], output_names=["command", "next_state"],
            dynamic_shapes={"image": {0: batch}, "dt": {0: batch}, "state": {0: batch}},
        )  # fmt: skip
    assert program is not None
    model: onnx.ModelProto = optimizer.optimize(
        rewrite(program.model_proto, [CENTERING]), input_size_limit=FOLD_LIMIT, output_size_limit=FOLD_LIMIT
    )
    _tidy(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _center(op: Any, pixels: Any, center: Any) -> Any:
    return op.Sub(op.Cast(pixels, to=TensorProto.FLOAT), center)


def _center_at_once(op: Any, pixels: Any, center: Any) -> Any:
    """The same numbers by one operator, which torch only has for networks that are quantised."""
    zero = onnx.numpy_helper.from_array(center.const_value.numpy().astype(np.uint8))
    return op.DequantizeLinear(pixels, op.Constant(value_float=1.0), op.Constant(value=zero))


def _of_bytes(_: Any, pixels: Any, center: Any) -> bool:
    value = None if center.const_value is None else center.const_value.numpy()
    return pixels.dtype == TensorProto.UINT8 and value is not None and value.ndim == 0 and value in range(256)


CENTERING = pattern.RewriteRule(_center, _center_at_once, _of_bytes)
"""Pixels become floats around zero in one pass instead of two."""


def _tidy(model: onnx.ModelProto) -> None:
    """Remove what is not the policy: source paths, stack traces, versions of tools; and check the domains."""
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "navstack", navstack.__version__
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "policy"
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for number, node in enumerate(model.graph.node):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        del node.metadata_props[:]
        if node.domain:
            raise InputError(
                f"the exported graph uses '{node.op_type}' of the domain '{node.domain}'; only ONNX's own"
                " runs everywhere"
            )
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    if len(model.functions):
        raise InputError("the exported graph holds functions of its own; only plain operators run everywhere")
    kept = [opset for opset in model.opset_import if not opset.domain]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def largest_difference(
    network: PolicyNetwork, model: bytes, card: PolicyCard, steps: int = CHECK_STEPS
) -> float:
    """Largest difference between ONNX Runtime and torch over an episode with irregular time.

    Commands are counted in limits. Each carries its own state, so errors would add up. The pictures have
    what a camera's have, large shapes that change slowly and a little noise: white noise, which no camera
    sees, drives the attention maps to where single-precision rounding is several times larger.
    """
    rng = np.random.default_rng(0)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    height, width = card.camera.height, card.camera.width
    ours = network.initial_state(1)
    theirs = ours.numpy().copy()
    limits, worst = card.limits.as_array(), 0.0
    coarse = rng.uniform(40.0, 215.0, (height // 16, width // 16, 3))
    with _as_it_flies(network):
        for _ in range(steps):
            coarse = np.clip(coarse + rng.normal(0.0, 4.0, coarse.shape), 40.0, 215.0)
            picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
            picture = np.clip(picture + rng.normal(0.0, 3.0, picture.shape), 0.0, 255.0)
            image = picture.astype(np.uint8)[None]
            dt = rng.uniform(0.5 * card.dt_min, 1.5 * card.dt_max, (1, 1)).astype(np.float32)
            command, ours = network.step(torch.from_numpy(image), torch.from_numpy(dt), ours)
            answer, theirs = session.run(None, {"image": image, "dt": dt, "state": theirs})
            difference = np.abs(answer - command.numpy()) / limits
            worst = max(worst, float(difference.max()), float(np.abs(theirs - ours.numpy()).max()))
            if not np.isfinite(worst):
                return float("inf")
    return worst


@contextmanager
def _as_it_flies(network: PolicyNetwork) -> Iterator[None]:
    """Evaluate without gradients, in one thread (single frames are too small to share), then put all back.

    Training goes on after an export, in the mode it had: otherwise a run that restarts after it would differ
    from one that does not.
    """
    threads, training = torch.get_num_threads(), network.training
    torch.set_num_threads(1)
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)
        torch.set_num_threads(threads)


def weights_hash(path: Path) -> str:
    """SHA-256 of a policy file's graph and weights, its card excluded: equal for equal results."""
    model = onnx.load(str(path), load_external_data=False)
    del model.metadata_props[:]
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
