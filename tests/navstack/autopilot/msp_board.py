"""A board that answers MSP as Betaflight 4.6 does, for what the link asks: in memory, or behind TCP."""

import contextlib
import socket
import struct
import threading

from navstack.autopilot import msp
from navstack.autopilot.sticks import as_read

ARM, ANGLE, OVERRIDE, THROTTLE = 4, 5, 6, 2  # channels
BOXES = (msp.BOX_ARM, msp.BOX_ANGLE, msp.BOX_FAILSAFE, msp.BOX_MSP_OVERRIDE)


class MspBoard:
    """The receiver's channels are set by the test; the override's mask decides which of ours it flies."""

    datagrams = False

    def __init__(self, mask=(0, 1, 2, 3)):
        self.mask, self.silent = set(mask), False
        self.receiver = [1500, 1500, 1000, 1500, *([1000] * 12)]
        self.overriding = [1500] * 16
        self.sticks = 0  # frames of channels that came
        self.arming, self.lean, self.cell, self.charge = 0, (0, 0), 380, 0
        self.failsafe = 10  # tenths of a second
        self._answers = []
        self.closed = False

    def switch(self, channel, on):
        self.receiver[channel] = 2000 if on else 1000

    def on(self, channel):
        return self.receiver[channel] > 1700

    @property
    def flown(self):
        """The channels that fly it."""
        mine = self.mask if self.on(OVERRIDE) else ()
        return [self.overriding[c] if c in mine else self.receiver[c] for c in range(16)]

    # --- Transport -----------------------------------------------------------------------------------------

    def write(self, data):
        size, command = data[3], data[4]
        if self.silent:
            return True
        if command == msp.SET_RAW_RC:
            self.overriding = list(struct.unpack("<16H", data[5 : 5 + size]))
            self.sticks += 1
        answer = bytearray(msp.encode(command, self.tell(command)))
        answer[2:3] = b">"
        self._answers.append(bytes(answer))
        return True

    def read(self):
        answers, self._answers = self._answers, []
        return answers

    def close(self):
        self.closed = True

    # --- MSP -----------------------------------------------------------------------------------------------

    def tell(self, command):
        modes = [self.on(ARM), self.on(ANGLE), False, self.on(OVERRIDE)]
        flags = sum(1 << i for i, active in enumerate(modes) if active)
        return {
            msp.FC_VARIANT: lambda: b"BTFL",
            msp.FC_VERSION: lambda: bytes((4, 6, 0)),
            msp.BOXIDS: lambda: bytes(BOXES),
            msp.MODE_RANGES: lambda: bytes((0, 0, 32, 48, 1, 1, 32, 48, 50, 2, 32, 48)),
            msp.FAILSAFE_CONFIG: lambda: bytes((self.failsafe, 0, 0, 0, 0, 0, 0, 1)),
            msp.RC_TUNING: lambda: bytes((7, 0, 67, 67, 67, 0, 0, 0, 0, 0, 0, 7, 7, 0)) + bytes(8) + b"\3",
            msp.PID_ADVANCED: lambda: bytes(17) + bytes((60,)),
            msp.BATTERY_CONFIG: lambda: struct.pack("<BBBHBBHHH", 33, 43, 35, 0, 1, 1, 330, 430, 350),
            msp.BATTERY_STATE: lambda: struct.pack("<BHBHhBH", 4, 0, 0, 0, 0, self.charge, 4 * self.cell),
            msp.STATUS: lambda: struct.pack(
                "<HHHIBHHBBI", 125, 0, 33, flags, 0, 10, 0, 0, 29, self.arming
            ),
            msp.RC: lambda: struct.pack("<16H", *as_read(tuple(self.flown))),
            msp.ATTITUDE: lambda: struct.pack("<hhh", *self.lean, 0),
        }.get(command, bytes)()  # fmt: skip


class TcpBoard:
    """A board behind a port of this machine, for one client, until closed."""

    def __init__(self, board):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"msp:tcp:127.0.0.1:{self._server.getsockname()[1]}"
        self._board = board
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        client, _ = self._server.accept()
        rest = b""
        with client, contextlib.suppress(ConnectionResetError):
            while data := client.recv(4096):
                rest += data
                while len(rest) >= 6 and len(rest) >= rest[3] + 6:
                    self._board.write(rest[: rest[3] + 6])
                    rest = rest[rest[3] + 6 :]
                for answer in self._board.read():
                    client.sendall(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._thread.join(5.0)
        self._server.close()
