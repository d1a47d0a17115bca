"""An exported policy's graph on torch: the file that flies, with every value in it to be seen and derived.

ONNX Runtime answers what a policy does; why it does so needs what lies between (feature maps, gates) and
derivatives, which it does not give. The file itself is evaluated here, operator by operator, and not a
network rebuilt to resemble it, so what is explained is what flies, whoever trained it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.policies.explain.operators import OPERATORS
from navstack.policy import PolicyFile

INPUTS = ("image", "dt", "state")


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of a graph."""

    operator: str
    inputs: tuple[str, ...]  # names of values; empty where an optional one is left out
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class PolicyGraph:
    """A policy file as a function of torch tensors, differentiable in the image, dt and the state.

    Raises InputError where it holds an operator that is not known here.
    """

    def __init__(self, file: PolicyFile) -> None:
        graph = onnx.load_model_from_string(file.data).graph
        self.card: PolicyCard = file.card
        self._constants = {
            value.name: torch.from_numpy(numpy_helper.to_array(value).copy()) for value in graph.initializer
        }
        nodes = [_node(file.name, node) for node in graph.node]
        self.nodes = tuple(self._fold(nodes))

    def _fold(self, nodes: list[Node]) -> list[Node]:
        """The nodes that depend on an input; the others' values become constants."""
        rest = []
        for node in nodes:
            if all(not name or name in self._constants for name in node.inputs):
                self._constants |= _evaluate(node, self._constants)
            else:
                rest.append(node)
        return rest

    def constant(self, name: str) -> Tensor | None:
        """The value with this name where it depends on no input."""
        return self._constants.get(name)

    def run(self, image: Tensor, dt: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Every value of the graph by name, `command` (N, 4) and `next_state` (N, S) among them.

        Args:
            image: (N, H, W, 3), uint8, or float32 of 0 to 255 to be derived by.
            dt: (N, 1) float32 s.
            state: (N, S) float32.
        """
        values = self._constants | {"image": image, "dt": dt, "state": state}
        for node in self.nodes:
            values |= _evaluate(node, values)
        return values

    def depending_on(self, *inputs: str) -> set[str]:
        """Names of the values that depend on these inputs and on no other."""
        others = set(INPUTS) - set(inputs)
        tainted, found = set(others), set(inputs)
        for node in self.nodes:
            target = tainted if tainted.intersection(node.inputs) else found
            if tainted.intersection(node.inputs) or found.intersection(node.inputs):
                target.update(node.outputs)
        return found

    def maker(self, name: str) -> Node | None:
        """The node that computes a value; None for an input or a constant."""
        return next((node for node in self.nodes if name in node.outputs), None)

    def users(self, name: str) -> list[Node]:
        """The nodes that take a value."""
        return [node for node in self.nodes if name in node.inputs]


def _node(file: str, node: onnx.NodeProto) -> Node:
    if node.op_type not in OPERATORS:
        raise InputError(
            f"{file}: its graph uses the operator '{node.op_type}', which cannot be explained;"
            f" known are {', '.join(OPERATORS)}"
        )
    attributes = {attribute.name: _attribute(attribute) for attribute in node.attribute}
    return Node(node.op_type, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return torch.from_numpy(numpy_helper.to_array(value).copy())
    return value


def _evaluate(node: Node, values: dict[str, Tensor]) -> dict[str, Tensor]:
    inputs = [values[name] if name else None for name in node.inputs]
    try:
        result = OPERATORS[node.operator](inputs, node.attributes)
    except NotImplementedError as error:
        raise InputError(f"the policy's graph uses {error}, which cannot be explained") from error
    results = result if isinstance(result, tuple) else (result,)
    return dict(zip(node.outputs, results, strict=True))
