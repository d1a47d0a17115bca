"""What an ONNX file says and refers to, read from its bytes: domains, data outside the file, metadata.

The onnx package is no dependency of a drone, and ONNX Runtime says neither whether weights lie in another
file nor which domains the operators come from. This reads just enough of protobuf's wire format
(protobuf.dev, "Encoding") along the fields of onnx.proto3 that do; graphs inside attributes are visited too.
Where protobuf would be lenient (a known field of another wire type, the last of several values counts) it
refuses or takes every value into account, so that nothing can hide from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True, slots=True)
class Operation:
    """One operator of the graph, as far as a picture of its convolutions needs it."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: dict[str, tuple[int, ...]]  # attributes that are lists of whole numbers: strides, pads


def read_operations(data: bytes) -> list[Operation]:
    """The operators of the graph in their order. Raises NotOnnxError for bytes that are no model."""
    return [_operation(node) for graph in _inside(memoryview(data), 7) for node in _inside(graph, 1)]


def with_outputs(data: bytes, names: Sequence[str]) -> bytes:
    """The model with further outputs: values inside its graph, whose types whoever runs it infers.

    A message that stands twice in a field for one is merged (protobuf.dev, "Encoding"), so a second graph
    behind the first that holds nothing but outputs adds them to it.
    """
    outputs = b"".join(_field(12, _field(1, name.encode())) for name in names)
    return data + _field(7, outputs)


def _field(number: int, value: bytes) -> bytes:
    return _written(number << 3 | 2) + _written(len(value)) + value


def _written(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*data, value))


def _inside(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """The messages in the fields of this number."""
    for number, value, _ in _fields(data):
        if number == wanted:
            if isinstance(value, int):
                raise NotOnnxError(f"field {number} has the wrong wire type")
            yield value


def _operation(node: memoryview) -> Operation:
    texts: dict[int, list[str]] = {1: [], 2: [], 4: []}
    for number, found in texts.items():
        found += [bytes(value).decode(errors="replace") for value in _inside(node, number)]
    integers = {}
    for attribute in _inside(node, 5):
        name = b"".join(map(bytes, _inside(attribute, 1))).decode(errors="replace")
        integers[name] = tuple(_integers(attribute))
    return Operation("".join(texts[4]), tuple(texts[1]), tuple(texts[2]), integers)


def _integers(attribute: memoryview) -> Iterator[int]:
    """Field 8 of an attribute, packed or not."""
    for number, value, _ in _fields(attribute):
        if number == 8 and isinstance(value, int):
            yield value
        elif number == 8:
            assert not isinstance(value, int)
            position = 0
            while position < len(value):
                found, position = _varint(value, position)
                yield found


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
