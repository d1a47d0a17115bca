"""ONNX operators on torch tensors: what the exported graphs of this package are made of.

Each entry follows the operator's page of onnx.ai ("ONNX Operators", opset 18). A graph with another operator
is refused by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

Attributes = dict[str, Any]
Operator = Callable[[list[Any], Attributes], Any]  # inputs are tensors, None where one is left out

_DTYPES = {
    TensorProto.FLOAT: torch.float32, TensorProto.DOUBLE: torch.float64, TensorProto.INT64: torch.int64,
    TensorProto.INT32: torch.int32, TensorProto.BOOL: torch.bool, TensorProto.UINT8: torch.uint8,
}  # fmt: skip


def _ints(tensor: Tensor | None) -> list[int]:
    return [] if tensor is None else [int(value) for value in tensor.reshape(-1).tolist()]


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda inputs, _: function(inputs[0])


def _binary(function: Callable[[Any, Any], Any]) -> Operator:
    return lambda inputs, _: function(inputs[0], inputs[1])


def _fold(function: Callable[[Any, Any], Any]) -> Operator:
    return lambda inputs, _: functools.reduce(function, inputs)


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def apply(inputs: list[Any], attributes: Attributes) -> Tensor:
        data = inputs[0]
        axes = _ints(inputs[1]) if len(inputs) > 1 else list(attributes.get("axes", []))
        if not axes and attributes.get("noop_with_empty_axes", 0):
            return data
        return function(data, axes or list(range(data.dim())), bool(attributes.get("keepdims", 1)))

    return apply


def _cast(inputs: list[Any], attributes: Attributes) -> Tensor:
    """A float image that stands for an uint8 one keeps its gradient: it is a float already."""
    data = inputs[0]
    return data.to(_DTYPES[attributes["to"]])


def _convolve(inputs: list[Any], attributes: Attributes) -> Tensor:
    data, weight, bias = (*inputs, None)[:3]
    sides = data.dim() - 2
    pads = attributes.get("pads", [0] * 2 * sides)
    order = [side for axis in reversed(range(sides)) for side in (pads[axis], pads[axis + sides])]
    convolution = (functional.conv1d, functional.conv2d)[sides - 1]
    return convolution(
        functional.pad(data, order) if any(order) else data, weight, bias,
        tuple(attributes.get("strides", [1] * sides)), 0,
        tuple(attributes.get("dilations", [1] * sides)), attributes.get("group", 1),
    )  # fmt: skip


def _pad(inputs: list[Any], attributes: Attributes) -> Tensor:
    data, pads, value = (*inputs, None)[:3]
    if attributes.get("mode", b"constant") != b"constant":
        raise NotImplementedError("Pad other than constant")
    begins_ends, rank = _ints(pads), data.dim()
    order = [side for axis in reversed(range(rank)) for side in (begins_ends[axis], begins_ends[axis + rank])]
    return functional.pad(data, order, value=0.0 if value is None else float(value))


def _dequantize(inputs: list[Any], _: Attributes) -> Tensor:
    """Of one scale and zero point; a float image that stands for an uint8 one keeps its gradient."""
    data, scale, zero = (*inputs, None)[:3]
    if scale.numel() != 1:
        raise NotImplementedError("DequantizeLinear with a scale for each channel")
    return (data.to(scale.dtype) - (0 if zero is None else zero.to(scale.dtype))) * scale


def _gemm(inputs: list[Any], attributes: Attributes) -> Tensor:
    a, b, c = (*inputs, None)[:3]
    a, b = (m.t() if attributes.get(key, 0) else m for m, key in ((a, "transA"), (b, "transB")))
    product = attributes.get("alpha", 1.0) * (a @ b)
    return product if c is None else product + attributes.get("beta", 1.0) * c


def _slice(inputs: list[Any], _: Attributes) -> Tensor:
    data, starts, ends, axes, steps = (*inputs, None, None)[:5]
    begin, end = _ints(starts), _ints(ends)
    for place, axis in enumerate(_ints(axes) or range(len(begin))):
        step = (_ints(steps) or [1] * len(begin))[place]
        index = torch.arange(data.shape[axis])[slice(begin[place], end[place], step)] if step > 0 else None
        if index is None:
            raise NotImplementedError("Slice with a negative step")
        data = data.index_select(axis, index)
    return data


def _split(inputs: list[Any], attributes: Attributes) -> tuple[Tensor, ...]:
    data, axis = inputs[0], attributes.get("axis", 0)
    sizes = _ints(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else None
    if sizes is None:
        count = attributes["num_outputs"]
        return data.split(-(-data.shape[axis] // count), dim=axis)
    return data.split(sizes, dim=axis)


def _reshape(inputs: list[Any], _: Attributes) -> Tensor:
    data = inputs[0]
    shape = [data.shape[place] if size == 0 else size for place, size in enumerate(_ints(inputs[1]))]
    return data.reshape(shape)


def _shape(inputs: list[Any], attributes: Attributes) -> Tensor:
    return torch.tensor(inputs[0].shape[attributes.get("start", 0) : attributes.get("end")])


def _expand(inputs: list[Any], _: Attributes) -> Tensor:
    data = inputs[0]
    return data.expand(torch.broadcast_shapes(data.shape, tuple(_ints(inputs[1]))))


def _squeeze(inputs: list[Any], _: Attributes) -> Tensor:
    data = inputs[0]
    return data.squeeze(tuple(_ints(inputs[1]))) if len(inputs) > 1 else data.squeeze()


def _unsqueeze(inputs: list[Any], _: Attributes) -> Tensor:
    data = inputs[0]
    for axis in sorted(_ints(inputs[1])):
        data = data.unsqueeze(axis)
    return data


def _scatter(inputs: list[Any], attributes: Attributes) -> Tensor:
    data, index, updates = inputs
    if attributes.get("reduction", b"none") != b"none":
        raise NotImplementedError("ScatterElements with a reduction")
    return data.scatter(attributes.get("axis", 0), index, updates)


def _gather(inputs: list[Any], attributes: Attributes) -> Tensor:
    data, index = inputs
    axis = attributes.get("axis", 0) % data.dim()
    picked = data.index_select(axis, index.reshape(-1))
    return picked.reshape(*data.shape[:axis], *index.shape, *data.shape[axis + 1 :])


def _gather_nd(inputs: list[Any], attributes: Attributes) -> Tensor:
    data, index = inputs
    if attributes.get("batch_dims", 0):
        raise NotImplementedError("GatherND with batch dimensions")
    picked: Tensor = data[tuple(index.unbind(-1))]
    return picked


def _eye_like(inputs: list[Any], attributes: Attributes) -> Tensor:
    data = inputs[0]
    kind = _DTYPES.get(attributes.get("dtype", 0), data.dtype)
    return torch.diag_embed(torch.ones(min(data.shape)), attributes.get("k", 0)).to(kind)[
        : data.shape[0], : data.shape[1]
    ]


def _filled(inputs: list[Any], attributes: Attributes) -> Tensor:
    value = attributes.get("value", torch.zeros(1))
    return value.reshape(()).expand(_ints(inputs[0])).clone()


def _clip(inputs: list[Any], _: Attributes) -> Tensor:
    data, low, high = (*inputs, None, None)[:3]
    return data.clamp(low, high)


def _layer_norm(inputs: list[Any], attributes: Attributes) -> Tensor:
    data, scale, bias = (*inputs, None)[:3]
    shape = data.shape[attributes.get("axis", -1) :]
    return functional.layer_norm(data, shape, scale, bias, attributes.get("epsilon", 1e-5))


OPERATORS: dict[str, Operator] = {
    "Abs": _unary(torch.abs),
    "Add": _binary(torch.add),
    "And": _binary(torch.logical_and),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda inputs, attributes: torch.cat(inputs, attributes["axis"]),
    "Constant": lambda _, attributes: attributes["value"],
    "ConstantOfShape": _filled,
    "Conv": _convolve,
    "Cos": _unary(torch.cos),
    "DequantizeLinear": _dequantize,
    "Div": _binary(torch.div),
    "Elu": lambda inputs, attributes: functional.elu(inputs[0], attributes.get("alpha", 1.0)),
    "Equal": _binary(torch.eq),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Flatten": lambda inputs, attributes: inputs[0].flatten(attributes.get("axis", 1)),
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "Greater": _binary(torch.gt),
    "GreaterOrEqual": _binary(torch.ge),
    "Identity": _unary(lambda x: x),
    "LayerNormalization": _layer_norm,
    "Less": _binary(torch.lt),
    "LessOrEqual": _binary(torch.le),
    "Log": _unary(torch.log),
    "MatMul": _binary(torch.matmul),
    "Max": _fold(torch.maximum),
    "Min": _fold(torch.minimum),
    "Mul": _binary(torch.mul),
    "Neg": _unary(torch.neg),
    "Not": _unary(torch.logical_not),
    "Or": _binary(torch.logical_or),
    "Pad": _pad,
    "Pow": _binary(torch.pow),
    "Reciprocal": _unary(torch.reciprocal),
    "ReduceLogSumExp": _reduce(torch.logsumexp),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _unary(torch.relu),
    "Reshape": _reshape,
    "ScatterElements": _scatter,
    "Shape": _shape,
    "Sigmoid": _unary(torch.sigmoid),
    "Sin": _unary(torch.sin),
    "Slice": _slice,
    "Softmax": lambda inputs, attributes: torch.softmax(inputs[0], attributes.get("axis", -1)),
    "Softplus": _unary(functional.softplus),
    "Split": _split,
    "Sqrt": _unary(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _binary(torch.sub),
    "Tanh": _unary(torch.tanh),
    "Transpose": lambda inputs, attributes: inputs[0].permute(attributes["perm"]),
    "Unsqueeze": _unsqueeze,
    "Where": lambda inputs, _: torch.where(*inputs),
}
"""Operators by name. A new one is one line here."""
