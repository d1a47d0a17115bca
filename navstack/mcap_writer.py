"""Writing MCAP files: uncompressed, in chunks, with every index that readers seek by.

The format is https://mcap.dev/spec. The package `mcap` writes it as well, but brings two compressors, 30 MB:
too much to carry on a companion computer for logs that are not compressed. What is written here is, byte for
byte, what that package would write; the tests compare the two.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import IO

MAGIC = b"\x89MCAP0\r\n"


class Opcode(IntEnum):
    """What a record is, by the number that it begins with."""

    HEADER = 0x01
    FOOTER = 0x02
    SCHEMA = 0x03
    CHANNEL = 0x04
    MESSAGE = 0x05
    CHUNK = 0x06
    MESSAGE_INDEX = 0x07
    CHUNK_INDEX = 0x08
    ATTACHMENT_INDEX = 0x0A
    STATISTICS = 0x0B
    METADATA = 0x0C
    METADATA_INDEX = 0x0D
    SUMMARY_OFFSET = 0x0E
    DATA_END = 0x0F


_MESSAGE = struct.Struct("<BQHIQQ")  # opcode, length of what follows, channel, sequence, log and publish time
_MESSAGE_LENGTH = _MESSAGE.size - 9  # bytes of it that the length counts


class McapWriter:
    """Writes one MCAP file to a binary stream that tells its position; `finish` ends the file and no more.

    Times are whole nanoseconds. A chunk ends when it holds more than `chunk_size` bytes, and at every flush.
    What stands in ended chunks can be read whether or not the file is ever finished.
    """

    def __init__(self, stream: IO[bytes], chunk_size: int, library: str) -> None:
        self._stream, self._chunk_size = stream, chunk_size
        self._schemas: list[bytes] = []  # records, as for the others below
        self._channels: list[bytes] = []
        self._chunk_indexes: list[bytes] = []
        self._metadata_indexes: list[bytes] = []
        self._counts: Counter[int] = Counter()  # messages by channel
        self._first = self._last = 0  # ns, of all messages
        self._begin_chunk()
        stream.write(MAGIC + _record(Opcode.HEADER, _text(""), _text(library)))

    def _begin_chunk(self) -> None:
        self._chunk = bytearray()
        self._index: dict[int, list[tuple[int, int]]] = {}  # channel -> time (ns) and offset in the chunk

    def add_metadata(self, name: str, pairs: Mapping[str, str]) -> None:
        """Write named pairs of texts, at once: they stand before the chunk in progress."""
        texts = b"".join(_text(word) for pair in pairs.items() for word in pair)
        record = _record(Opcode.METADATA, _text(name), _sized(texts))
        where = struct.pack("<QQ", self._stream.tell(), len(record))
        self._metadata_indexes.append(_record(Opcode.METADATA_INDEX, where, _text(name)))
        self._stream.write(record)

    def add_schema(self, name: str, encoding: str, data: bytes) -> int:
        """Describe messages; the number of the schema, for `add_channel`."""
        number = len(self._schemas) + 1
        parts = (struct.pack("<H", number), _text(name), _text(encoding), _sized(data))
        self._schemas.append(_record(Opcode.SCHEMA, *parts))
        self._add(self._schemas[-1])
        return number

    def add_channel(self, topic: str, encoding: str, schema: int) -> int:
        """Name a row of messages of one schema; the number of the channel, for `add_message`."""
        number = len(self._channels) + 1
        parts = (struct.pack("<HH", number, schema), _text(topic), _text(encoding), _sized(b""))
        self._channels.append(_record(Opcode.CHANNEL, *parts))
        self._add(self._channels[-1])
        return number

    def add_message(self, channel: int, time: int, data: bytes) -> None:
        """Add a message that was published and logged at a time (ns)."""
        self._index.setdefault(channel, []).append((time, len(self._chunk)))
        self._first = min(self._first, time) if self._counts else time
        self._last = max(self._last, time)
        self._counts[channel] += 1
        length = _MESSAGE_LENGTH + len(data)
        self._add(_MESSAGE.pack(Opcode.MESSAGE, length, channel, 0, time, time) + data)

    def _add(self, record: bytes) -> None:
        self._chunk += record
        if len(self._chunk) > self._chunk_size:
            self._end_chunk()

    def flush(self) -> None:
        """End the chunk in progress and hand everything to the operating system."""
        self._end_chunk()
        self._stream.flush()

    def _end_chunk(self) -> None:
        """Write the chunk and the index of its messages; schemas and channels alone wait for a message."""
        if not self._index:
            return
        data, index = bytes(self._chunk), self._index
        self._begin_chunk()
        times = [time for rows in index.values() for time, _ in rows]
        span = struct.pack("<QQ", min(times), max(times))
        sizes = struct.pack("<QI", len(data), zlib.crc32(data))
        record = _record(Opcode.CHUNK, span, sizes, _text(""), struct.pack("<Q", len(data)), data)
        start = self._stream.tell()
        written, offsets = [record], []
        position = begin = start + len(record)
        for channel, rows in index.items():
            offsets.append(struct.pack("<HQ", channel, position))
            pairs = b"".join(struct.pack("<QQ", *row) for row in rows)
            written.append(_record(Opcode.MESSAGE_INDEX, struct.pack("<H", channel), _sized(pairs)))
            position += len(written[-1])
        self._stream.write(b"".join(written))
        self._chunk_indexes.append(
            _record(
                Opcode.CHUNK_INDEX, span, struct.pack("<QQ", start, len(record)), _sized(b"".join(offsets)),
                struct.pack("<Q", position - begin), _text(""), struct.pack("<QQ", len(data), len(data)),
            )
        )  # fmt: skip

    def finish(self) -> None:
        """End the last chunk, and write the summary by which readers find their way."""
        self._end_chunk()
        self._stream.write(_record(Opcode.DATA_END, struct.pack("<I", 0)))
        start = position = self._stream.tell()
        groups: dict[Opcode, Iterable[bytes]] = {
            Opcode.SCHEMA: self._schemas,
            Opcode.CHANNEL: self._channels,
            Opcode.STATISTICS: [self._statistics()],
            Opcode.CHUNK_INDEX: self._chunk_indexes,
            Opcode.ATTACHMENT_INDEX: [],  # there are none, and mcap says so
            Opcode.METADATA_INDEX: self._metadata_indexes,
        }
        summary, offsets = [], []
        for opcode, records in groups.items():
            summary.append(b"".join(records))
            place = struct.pack("<BQQ", opcode, position, len(summary[-1]))
            offsets.append(_record(Opcode.SUMMARY_OFFSET, place))
            position += len(summary[-1])
        written = b"".join(summary + offsets)
        footer = _record(Opcode.FOOTER, struct.pack("<QQI", start, position, 0))[:-4]
        crc = struct.pack("<I", zlib.crc32(written + footer))
        self._stream.write(written + footer + crc + MAGIC)

    def _statistics(self) -> bytes:
        counts = b"".join(struct.pack("<HQ", *row) for row in self._counts.items())
        return _record(
            Opcode.STATISTICS,
            struct.pack("<QHI", self._counts.total(), len(self._schemas), len(self._channels)),
            struct.pack("<III", 0, len(self._metadata_indexes), len(self._chunk_indexes)),
            struct.pack("<QQ", self._first, self._last),
            _sized(counts),
        )


def _record(opcode: Opcode, *parts: bytes) -> bytes:
    return struct.pack("<BQ", opcode, sum(map(len, parts))) + b"".join(parts)


def _sized(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _text(text: str) -> bytes:
    return _sized(text.encode())
