"""Our MCAP files against those of the package mcap, and through its readers."""

import io

from hypothesis import given
from hypothesis import strategies as st
from mcap.exceptions import EndOfFile
from mcap.reader import make_reader
from mcap.records import Message
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from navstack.mcap_writer import McapWriter

CHUNK = 200  # bytes, so that a few messages end one
text = st.text(max_size=12)
times = st.integers(0, 2**64 - 1)
metadata = st.tuples(st.just("metadata"), text, st.dictionaries(text, text, max_size=3))
channel = st.tuples(st.just("channel"), text, text, st.binary(max_size=300))
message = st.tuples(st.just("message"), st.integers(1, 4), times, st.binary(max_size=120))
flush = st.tuples(st.just("flush"))
steps = st.builds(
    lambda begin, rest: begin + rest,
    st.lists(metadata | channel, max_size=3),
    st.lists(message | message | message | metadata | channel | flush, max_size=60),
)
"""What is written to a file; a message of a channel that is not there yet is left out."""


def ours(rows):
    """The bytes of a file made by our writer."""
    file = io.BytesIO()
    writer, channels = McapWriter(file, CHUNK, "navstack"), 0
    for what, *values in rows:
        if what == "metadata":
            writer.add_metadata(*values)
        elif what == "channel":
            topic, name, data = values
            channels = writer.add_channel(topic, "protobuf", writer.add_schema(name, "protobuf", data))
        elif what == "message" and values[0] <= channels:
            writer.add_message(*values)
        elif what == "flush":
            writer.flush()
    writer.finish()
    return file.getvalue()


def theirs(rows):
    """The bytes of the same file made by the package mcap."""
    file = io.BytesIO()
    writer, channels = Writer(file, chunk_size=CHUNK, compression=CompressionType.NONE), 0
    writer.start(profile="", library="navstack")
    for what, *values in rows:
        if what == "metadata":
            writer.add_metadata(*values)
        elif what == "channel":
            topic, name, data = values
            channels = writer.register_channel(
                topic, "protobuf", writer.register_schema(name, "protobuf", data)
            )
        elif what == "message" and values[0] <= channels:
            channel, time, data = values
            writer.add_message(channel, time, data, time)
        elif what == "flush":
            writer.flush()
    writer.finish()
    return file.getvalue()


@given(steps)
def test_a_file_is_byte_for_byte_what_the_package_mcap_writes(rows):
    assert ours(rows) == theirs(rows)


@given(steps)
def test_the_package_mcap_reads_it_back_by_its_indexes(rows):
    data = ours(rows)
    channels, sent = 0, []
    for what, *values in rows:
        channels += what == "channel"
        if what == "message" and values[0] <= channels:
            sent.append((values[1], values[0], values[2]))
    reader = make_reader(io.BytesIO(data), validate_crcs=True)
    found = [(m.log_time, c.id, m.data) for _, c, m in reader.iter_messages()]
    assert sorted(found) == sorted(sent)
    assert [time for time, *_ in found] == sorted(time for time, *_ in sent)
    assert reader.get_summary().statistics.message_count == len(sent)
    assert [m.name for m in reader.iter_metadata()] == [row[1] for row in rows if row[0] == "metadata"]


def test_what_was_flushed_is_read_from_a_file_that_was_never_finished():
    file = io.BytesIO()
    writer = McapWriter(file, 1 << 20, "navstack")
    channel = writer.add_channel("/x", "protobuf", writer.add_schema("x", "protobuf", b""))
    for time in range(3):
        writer.add_message(channel, time, b"kept")
    writer.flush()
    writer.add_message(channel, 3, b"lost")
    found = messages_before_the_break(file.getvalue())
    assert [(message.log_time, message.data) for message in found] == [(time, b"kept") for time in range(3)]


def messages_before_the_break(data):
    """What a reader finds before it misses the end of the file."""
    found = []
    try:
        for record in StreamReader(io.BytesIO(data)).records:
            found += [record] if isinstance(record, Message) else []
    except EndOfFile:
        return found
    raise AssertionError("the file has an end")
