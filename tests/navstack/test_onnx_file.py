"""The reader of ONNX files agrees with the onnx package, and has one way to refuse."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from navstack.onnx_file import Contents, NotOnnxError, graph_hash, read_contents

MakeModel = Callable[..., onnx.ModelProto]
names = st.text(max_size=8)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


OPSET = field(8, field(2, 18))


def with_tensor(tensor: bytes) -> bytes:
    """A model with one initializer."""
    return field(7, field(5, tensor)) + OPSET


# -- graphs within graphs, drawn at random


@st.composite
def tensors(draw: st.DrawFn) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(draw(st.integers(0, 40)), np.float32), draw(names))
    place = draw(st.sampled_from(["inside", "inside", "inside", "flag", "entry"]))
    if place == "flag":
        tensor.data_location = TensorProto.EXTERNAL
    elif place == "entry":
        tensor.external_data.add(key="location", value="weights.bin")
    return tensor


@st.composite
def nodes(draw: st.DrawFn, depth: int) -> onnx.NodeProto:
    domain = draw(st.sampled_from(["", "", "ai.onnx", "com.microsoft", "ai.onnx.ml"]))
    node = onnx.NodeProto(op_type=draw(st.sampled_from(["Add", "If", "Loop"])), input=["x"], output=["y"])
    node.name, node.doc_string, node.domain = draw(names), draw(names), domain
    for kind in draw(
        st.lists(st.sampled_from(["i", "ints", "t", "tensors", "g", "graphs", "sparse"]), max_size=2)
    ):
        attribute = node.attribute.add(name=draw(names))
        if kind == "i":
            attribute.i = draw(st.integers(-(2**63), 2**63 - 1))
        elif kind == "ints":
            attribute.ints.extend(draw(st.lists(st.integers(-9, 9), max_size=3)))
        elif kind == "t":
            attribute.t.CopyFrom(draw(tensors()))
        elif kind == "tensors":
            attribute.tensors.extend([draw(tensors())])
        elif kind == "sparse":
            attribute.sparse_tensor.values.CopyFrom(draw(tensors()))
        elif depth:
            graph = draw(graphs(depth - 1))
            attribute.g.CopyFrom(graph) if kind == "g" else attribute.graphs.extend([graph])
    return node


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> onnx.GraphProto:
    graph = onnx.GraphProto(name=draw(names), node=draw(st.lists(nodes(depth), max_size=2)))
    graph.initializer.extend(draw(st.lists(tensors(), max_size=1)))
    graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3]))
    return graph


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    model = onnx.ModelProto(ir_version=draw(st.integers(1, 12)), graph=draw(graphs()))
    versions = draw(
        st.dictionaries(st.sampled_from(["", "ai.onnx.ml", "mine"]), st.integers(1, 30), min_size=1)
    )
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in versions.items())
    for key, value in draw(st.dictionaries(names, names, max_size=2)).items():
        model.metadata_props.add(key=key, value=value)
    if draw(st.booleans()):
        model.functions.append(
            onnx.FunctionProto(name="f", domain=draw(names), node=draw(st.lists(nodes(1), max_size=1)))
        )
    return model


def messages(message: Any) -> Iterator[Any]:
    """A message and every one inside it, found by protobuf's own description of them."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for inside in [value] if hasattr(value, "ListFields") else value:
                yield from messages(inside)


def as_the_onnx_package_reads(data: bytes) -> Contents:
    model = onnx.load_model_from_string(data)
    found = list(messages(model))
    kinds = (onnx.NodeProto, onnx.OperatorSetIdProto, onnx.FunctionProto)
    return Contents(
        ir_version=model.ir_version,
        opsets={opset.domain: opset.version for opset in found if isinstance(opset, onnx.OperatorSetIdProto)},
        domains={m.domain for m in found if isinstance(m, kinds) and m.HasField("domain")},
        operators={m.op_type for m in found if isinstance(m, onnx.NodeProto)},
        external=any(
            m.data_location != TensorProto.DEFAULT or len(m.external_data) > 0
            for m in found
            if isinstance(m, onnx.TensorProto)
        ),
        functions=len(model.functions),
        metadata=[(entry.key, entry.value) for entry in model.metadata_props],
    )


@settings(max_examples=150)
@given(models())
def test_it_reads_what_the_onnx_package_reads(model: onnx.ModelProto) -> None:
    data = model.SerializeToString()
    assert read_contents(data) == as_the_onnx_package_reads(data)


# -- bytes that are no model


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(NotOnnxError):
        assert isinstance(read_contents(data), Contents)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), inserted=st.binary(max_size=4), removed=st.integers(0, 4))
def test_a_damaged_model_is_read_or_refused(
    make_model: MakeModel, where: float, inserted: bytes, removed: int
) -> None:
    whole = make_model().SerializeToString()
    at = int(where * len(whole))
    with contextlib.suppress(NotOnnxError):
        assert isinstance(read_contents(whole[:at] + inserted + whole[at + removed :]), Contents)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no graph and operator set"),
        (field(1, 9), "no graph and operator set"),
        (field(7, b""), "no graph and operator set"),
        (b"\x3a\x7f", "truncated"),
        (b"\x3a", "truncated"),
        (b"\x08\x80", "truncated"),
        (b"\xff" * 20, "longer than 64 bits"),
        (b"\x00\x00", "number zero"),
        (b"\x0b", "wire type 3"),
        (field(7, 5) + OPSET, "field 7 of its Model has the wrong wire type"),
        (with_tensor(field(14, b"\x01")), "field 14 of its Tensor has the wrong wire type"),
        (with_tensor(field(13, 1)), "field 13 of its Tensor has the wrong wire type"),
        (field(7, b"") + field(8, field(1, b"\xff")), "not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(NotOnnxError, match=reason):
        read_contents(data)


def test_graphs_nested_too_deeply_are_refused_and_do_not_exhaust_the_stack() -> None:
    graph = b""
    for _ in range(2000):
        graph = field(1, field(5, field(6, graph)))
    with pytest.raises(NotOnnxError, match="nested too deeply"):
        read_contents(field(7, graph) + OPSET)


# -- what protobuf would overlook


def test_external_data_cannot_hide_behind_a_second_value() -> None:
    assert read_contents(with_tensor(field(14, 1) + field(14, 0))).external
    assert read_contents(with_tensor(field(14, 1 << 32))).external
    assert read_contents(with_tensor(field(13, field(1, b"location") + field(2, b"/etc/passwd")))).external
    assert not read_contents(with_tensor(field(14, 0) + field(9, b"\0" * 16))).external


def test_a_domain_cannot_hide_behind_a_second_value() -> None:
    node = field(4, b"Gelu") + field(7, b"com.microsoft") + field(7, b"")
    assert "com.microsoft" in read_contents(field(7, field(1, node)) + OPSET).domains
    assert "mine" in read_contents(field(7, b"") + field(8, field(1, b"mine") + field(1, b""))).domains


def test_a_second_graph_is_read_too() -> None:
    node = field(1, field(4, b"Gelu") + field(7, b"com.microsoft"))
    assert "com.microsoft" in read_contents(field(7, node) + field(7, b"") + OPSET).domains


# -- the graph's hash


def test_the_graphs_hash_depends_on_weights_and_not_on_the_card(make_model: MakeModel) -> None:
    model = make_model()
    before = graph_hash(model.SerializeToString())
    model.metadata_props[0].value = "another card"
    model.metadata_props.add(key="more", value="of it")
    assert graph_hash(model.SerializeToString()) == before
    model.graph.initializer[1].float_data[0] += 1.0
    assert graph_hash(model.SerializeToString()) != before
