"""What an ONNX file says and refers to, read from its bytes: domains, data outside the file, metadata.

The onnx package is no dependency of a drone, and ONNX Runtime says neither whether weights lie in another
file nor which domains the operators come from. This reads just enough of protobuf's wire format
(protobuf.dev, "Encoding") along the fields of onnx.proto3 that do; graphs inside attributes are visited too.
Where protobuf would be lenient (a known field of another wire type, the last of several values counts) it
refuses or takes every value into account, so that nothing can hide from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})
_DEEPEST = 64  # messages within messages

_Leaves = dict[int, list[int | bytes]]

# message -> number of a field -> the message inside it, or how its value is written
_MESSAGES: dict[str, dict[int, str]] = {
    "Model": {1: "varint", 7: "Graph", 8: "OperatorSet", 14: "Metadata", 20: "Training", 25: "Function"},
    "OperatorSet": {1: "bytes", 2: "varint"},  # domain, version
    "Metadata": {1: "bytes", 2: "bytes"},  # key, value
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 9: "OperatorSet", 10: "bytes", 11: "Attribute"},  # 10: domain
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {4: "bytes", 5: "Attribute", 7: "bytes"},  # 4: operator, 7: domain
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "bytes", 14: "varint"},  # external data, where the data lies
}


class NotOnnxError(ValueError):
    """The bytes are not an ONNX model."""


@dataclass(slots=True)
class Contents:
    """What was found."""

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)  # imported operator sets: domain -> version
    domains: set[str] = field(default_factory=set)  # of imported operator sets and of operators
    operators: set[str] = field(default_factory=set)
    external: bool = False  # whether a tensor's data lies in another file
    functions: int = 0  # operators that the file defines itself
    metadata: list[tuple[str, str]] = field(default_factory=list)


def read_contents(data: bytes) -> Contents:
    """Read a model's bytes. Raises NotOnnxError when they are not a protobuf message of an ONNX model."""
    contents = Contents()
    seen = _visit(memoryview(data), "Model", contents, 0)
    if not {"Graph", "OperatorSet"} <= seen:
        raise NotOnnxError("it holds no graph and operator set")
    return contents


def graph_hash(data: bytes) -> str:
    """SHA-256 of a model without its metadata: equal for equal graphs and weights, whatever the card says.

    Raises NotOnnxError when the bytes are not a protobuf message.
    """
    digest = hashlib.sha256()
    view, start = memoryview(data), 0
    for number, _, end in _fields(view):
        if number != 14:
            digest.update(view[start:end])
        start = end
    return digest.hexdigest()


def _visit(data: memoryview, message: str, contents: Contents, depth: int) -> set[str]:
    """Visit a message and those inside it; the kinds of its own fields that were there."""
    if depth > _DEEPEST:
        raise NotOnnxError("its messages are nested too deeply")
    known = _MESSAGES[message]
    seen: set[str] = set()
    leaves: _Leaves = {}
    for number, value, _ in _fields(data):
        kind = known.get(number)
        if kind is None:
            continue
        if isinstance(value, int) != (kind == "varint"):
            raise NotOnnxError(f"field {number} of its {message} has the wrong wire type")
        seen.add(kind)
        if isinstance(value, int):
            leaves.setdefault(number, []).append(value)
        elif kind == "bytes":
            leaves.setdefault(number, []).append(bytes(value))
        else:
            _visit(value, kind, contents, depth + 1)
    _note(message, leaves, contents)
    return seen


def _note(message: str, leaves: _Leaves, contents: Contents) -> None:
    if message == "Model":
        contents.ir_version = _number(leaves, 1)
    elif message == "OperatorSet":
        domain = _text(leaves, 1)
        contents.domains.update(_texts(leaves, 1))
        contents.opsets[domain] = max(_number(leaves, 2), contents.opsets.get(domain, 0))
    elif message == "Metadata":
        contents.metadata.append((_text(leaves, 1), _text(leaves, 2)))
    elif message == "Node":
        contents.operators.update(_texts(leaves, 4))
        contents.domains.update(_texts(leaves, 7))
    elif message == "Function":
        contents.functions += 1
        contents.domains.update(_texts(leaves, 10))
    elif message == "Tensor":
        contents.external |= 13 in leaves or any(leaves.get(14, ()))


def _number(leaves: _Leaves, number: int) -> int:
    value = leaves.get(number, [0])[-1]
    assert isinstance(value, int)
    return value


def _texts(leaves: _Leaves, number: int) -> list[str]:
    try:
        return [value.decode() for value in leaves.get(number, ()) if isinstance(value, bytes)]
    except UnicodeDecodeError as error:
        raise NotOnnxError("a name in it is not UTF-8") from error


def _text(leaves: _Leaves, number: int) -> str:
    return (_texts(leaves, number) or [""])[-1]


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview, int]]:
    """Number, value and end of each field of one message: an int for a varint, else the bytes."""
    position, size = 0, len(data)
    while position < size:
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise NotOnnxError("a field has the number zero")
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value, position
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise NotOnnxError(f"ONNX has no fields of wire type {wire}")
        end = position + length
        if end > size:
            raise NotOnnxError("it is truncated")
        yield number, data[position:end], end
        position = end


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise NotOnnxError("it is truncated")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise NotOnnxError("a number in it is longer than 64 bits")
