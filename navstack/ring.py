"""A bounded ring of records between processes that drops and never blocks its writer.

One process writes, any number read. The ring lies in anonymous shared memory (Linux's memfd) that a child
inherits by its descriptor; it is gone when the last process that holds it is, however that ended. A writer
overwrites the oldest record without looking at anybody. A reader that is too slow finds a gap and counts it.
Each slot carries its number and a checksum, so a record that was overwritten while it was being read is never
believed, whatever the processor's order of writes.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import zlib
from collections.abc import Sequence

from navstack.errors import InputError

_MAGIC = b"navring1"
_HEADER = struct.Struct("<8sIIQI")  # magic, slots, bytes in a slot, records written, requests
_SLOT = struct.Struct("<QII")  # number of the record (from 1), length, checksum
_WRITTEN, _REQUESTS, _READ = 16, 24, 32  # byte offsets in the header
READERS = 4  # that tell how far they have come
_START = 64


class Ring:
    """The shared memory itself: what both sides open."""

    def __init__(self, descriptor: int, memory: mmap.mmap, slots: int, size: int) -> None:
        self.descriptor, self.memory, self.slots, self.size = descriptor, memory, slots, size

    @classmethod
    def create(cls, slots: int, size: int) -> Ring:
        """A new ring of so many slots for records of at most `size` bytes."""
        total = _START + slots * (_SLOT.size + size)
        descriptor = os.memfd_create("navstack-ring")
        os.ftruncate(descriptor, total)
        memory = mmap.mmap(descriptor, total)
        _HEADER.pack_into(memory, 0, _MAGIC, slots, size, 0, 0)
        return cls(descriptor, memory, slots, size)

    @classmethod
    def open(cls, descriptor: int) -> Ring:
        """The ring behind an inherited descriptor. Raises InputError where there is none."""
        try:
            total = os.fstat(descriptor).st_size
            memory = mmap.mmap(descriptor, total)
            magic, slots, size, _, _ = _HEADER.unpack_from(memory)
        except (OSError, ValueError, struct.error) as error:
            raise InputError(f"descriptor {descriptor} is no ring of records ({error})") from error
        if magic != _MAGIC or total != _START + slots * (_SLOT.size + size):
            raise InputError(f"descriptor {descriptor} is no ring of records")
        return cls(descriptor, memory, slots, size)

    @property
    def written(self) -> int:
        """Records written so far."""
        return int(struct.unpack_from("<Q", self.memory, _WRITTEN)[0])

    @property
    def requests(self) -> int:
        """How often a reader has asked the writer for something: the way back, one number."""
        return int(struct.unpack_from("<I", self.memory, _REQUESTS)[0])

    def request(self) -> None:
        """Ask the writer."""
        struct.pack_into("<I", self.memory, _REQUESTS, (self.requests + 1) & 0xFFFFFFFF)

    def read(self, reader: int) -> int:
        """The number up to which the reader with this index has taken or skipped."""
        return int(struct.unpack_from("<Q", self.memory, _READ + 8 * reader)[0])

    def note_read(self, reader: int, number: int) -> None:
        """That reader has come so far."""
        struct.pack_into("<Q", self.memory, _READ + 8 * reader, number)

    def offset(self, number: int) -> int:
        """Where the record with this number stands, or stood."""
        return _START + (number % self.slots) * (_SLOT.size + self.size)

    def close(self) -> None:
        """Let go of the memory."""
        with contextlib.suppress(BufferError):
            self.memory.close()
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


class RingWriter:
    """The one writer. `put` takes microseconds and never waits."""

    def __init__(self, ring: Ring) -> None:
        self.ring, self._number = ring, ring.written

    def put(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Write one record, its parts one after another; False where it is larger than a slot."""
        ring, number = self.ring, self._number + 1
        length = sum(len(part) for part in parts)
        if length > ring.size:
            return False
        at = ring.offset(number)
        _SLOT.pack_into(ring.memory, at, 0, 0, 0)  # readers see that it is being written
        position, checksum = at + _SLOT.size, 0
        for part in parts:
            end = position + len(part)
            ring.memory[position:end] = part
            checksum, position = zlib.crc32(part, checksum), end
        _SLOT.pack_into(ring.memory, at, number, length, checksum)
        struct.pack_into("<Q", ring.memory, _WRITTEN, number)
        self._number = number
        return True


class RingReader:
    """One reader, beginning with what is still there. With an index it tells the ring how far it has come."""

    def __init__(self, ring: Ring, index: int | None = None) -> None:
        self.ring, self._index = ring, index
        self.dropped = 0  # records that were overwritten before they were read
        self._next = max(1, ring.written - ring.slots + 1)

    def take(self, most: int = 1000) -> list[bytes]:
        """The records not yet taken, oldest first, at most so many."""
        ring, written = self.ring, self.ring.written
        found: list[bytes] = []
        oldest = written - ring.slots + 2  # one is being overwritten now
        if self._next < oldest:
            self.dropped += oldest - self._next
            self._next = oldest
        while self._next <= written and len(found) < most:
            record = self._read(self._next)
            if record is None:
                self.dropped += 1
            else:
                found.append(record)
            self._next += 1
        if self._index is not None:
            ring.note_read(self._index, self._next - 1)
        return found

    def newest(self) -> bytes | None:
        """The newest record, all others skipped; None where there is none that was not yet taken."""
        written = self.ring.written
        if written < self._next:
            return None
        self._next = written + 1
        return self._read(written)

    def _read(self, number: int) -> bytes | None:
        at = self.ring.offset(number)
        found, length, checksum = _SLOT.unpack_from(self.ring.memory, at)
        if found != number or length > self.ring.size:
            return None
        record = self.ring.memory[at + _SLOT.size : at + _SLOT.size + length]
        return record if zlib.crc32(record) == checksum else None
