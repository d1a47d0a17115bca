"""The page's own process: newest record in, HTTP out, and one request back: hold.

Standard library only, one page, no build step. Bound to loopback unless told otherwise. With a token, nothing
is shown or asked for without it. The page is no emergency stop: its hold goes through this computer, its
browser and its network, any of which may be what has failed.
"""

from __future__ import annotations

import hmac
import http.cookies
import json
import socket
import sys
import threading
import time
import urllib.parse
from collections import deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any

from navstack.child import loop_is_gone, read_settings, step_back
from navstack.contract import Frame, Image
from navstack.errors import InputError
from navstack.opencv import cv2
from navstack.ring import Ring, RingReader
from navstack.telemetry import Record, unpack

if TYPE_CHECKING:
    from navstack.attention import Attention

POLL = 0.05  # s between two looks at the ring
ATTENTION_EVERY = 0.5  # s between two pictures of attention at most, however many look
EVENTS = 60  # kept for the page
COOKIE = "navstack"
LARGEST_BODY = 4096  # bytes
SILENCE = 5.0  # s that a client may take over a request
CLIENTS = 16  # at once
SECURITY = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline';"
    " script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}  # fmt: skip


class Watch:
    """What is known of the flight now, for any number of requests."""

    def __init__(
        self, ring: Ring, reader: RingReader, card: dict[str, Any], policy: str | None = None
    ) -> None:
        self._ring, self._reader, self._card = ring, reader, card
        self._looker = Looker(policy)
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {}
        self._link: dict[str, Any] | None = None
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._actions: dict[str, str] = {}
        self._frame: Frame | None = None  # the newest
        self._drawn: tuple[Frame | None, bytes] = (None, b"")  # and as PNG, where somebody has looked
        self._seen, self._holds, self._late, self._frames = 0.0, 0, 0, 0

    def look(self) -> None:
        """Take what the ring holds."""
        records = [unpack(data) for data in self._reader.take()]
        if not records:
            return
        with self._lock:
            for record in records:
                self._note(record)
            frames = (r.tick.frame for r in reversed(records) if r.tick.frame is not None)
            self._frame = next(frames, self._frame)
            self._seen = time.monotonic()

    def _note(self, record: Record) -> None:
        tick = record.tick
        self._late += tick.late
        self._frames += tick.frame is not None
        for event in tick.events:
            self._actions.pop(event.rule, None)
            if event.action:
                self._actions[event.rule] = event.action
            if event.rule != "rates":
                text = f"{event.rule}: {event.action or 'ended'}"
                self._events.append({"time": event.time, "source": "guard", "text": text, "warning": False})
        for note in record.notes:
            entry = {"time": note.time, "source": note.source, "text": note.text, "warning": note.warning}
            self._events.append(entry)
        if record.link is not None:
            self._link = {name: getattr(record.link, name) for name in record.link.__slots__}
        command, sent, state = tick.command, tick.sent, tick.state
        self._state = {
            "time": tick.time,
            "command": [command.forward, command.left, command.up, command.yaw_rate],
            "sent": [sent.forward, sent.left, sent.up, sent.yaw_rate],
            "position": list(state.position_enu), "speed": state.speed, "yaw": state.yaw,
            "latency_ms": 1e3 * tick.latency, "demand": tick.demand.name.lower().replace("_", " "),
        }  # fmt: skip

    def as_json(self) -> bytes:
        """Everything that the page shows but the picture."""
        with self._lock:
            facts = {
                **self._state, "age": time.monotonic() - self._seen if self._seen else None,
                "guard": self._actions, "link": self._link, "events": list(self._events)[::-1],
                "late": self._late, "frames": self._frames, "dropped": self._reader.dropped,
                "holds": self._holds, "card": self._card,
            }  # fmt: skip
            return json.dumps(_finite(facts)).encode()

    def picture(self) -> bytes:
        """The newest frame as PNG, empty before the first. Nothing is encoded while nobody looks."""
        with self._lock:
            frame, data = self._drawn
            if self._frame is not frame and self._frame is not None:
                data = _png(self._frame.image)
                self._drawn = (self._frame, data)
            return data

    def attention(self) -> bytes:
        """Where the policy looks in the newest frame, as PNG, at most twice a second; empty for nothing yet.

        Raises InputError where the policy has no convolutions or its file cannot be read.
        """
        with self._lock:
            frame = self._frame
        return b"" if frame is None else self._looker.look(frame.image, time.monotonic())

    def hold(self) -> None:
        """Ask the loop for hold."""
        with self._lock:
            self._holds += 1
            self._ring.request()


class Looker:
    """Attention of one policy, computed in this process and only when somebody asks for it."""

    def __init__(self, policy: str | None) -> None:
        self._policy, self._lock = policy, threading.Lock()
        self._attention: Attention | None = None
        self._png, self._drawn = b"", float("-inf")

    def look(self, image: Image, now: float) -> bytes:
        """A PNG that is at most ATTENTION_EVERY old. Raises InputError as `navstack.attention` does."""
        with self._lock:
            if now - self._drawn < ATTENTION_EVERY:
                return self._png
            from navstack.attention import Attention, overlay  # these bring ONNX Runtime into this process
            from navstack.policy import read_policy

            if self._attention is None:
                if self._policy is None:
                    raise InputError("the page was not told which policy flies")
                self._attention = Attention(read_policy(self._policy))
            shown = overlay(image, self._attention(image))
            self._png = _png(shown)
            self._drawn = now
            return self._png


def _png(image: Image) -> bytes:
    """An (H, W, 3) RGB picture."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


class Server(ThreadingHTTPServer):
    """At most CLIENTS at once; a client that is slow waits for itself only."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], watch: Watch, token: str | None) -> None:
        self.watch, self.token = watch, token
        self._room = threading.BoundedSemaphore(CLIENTS)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, where there is room for one more."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One client, and room for another afterwards."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no news."""


class Handler(BaseHTTPRequestHandler):
    """GET /, /page.js, /state, /picture, /attention; POST /hold."""

    server: Server
    timeout = SILENCE
    server_version, sys_version = "navstack", ""

    def do_GET(self) -> None:
        """What may be looked at."""
        path, query = self._target()
        if path == "/" and self.server.token is not None and "token" in query:
            if not self._is_token(query["token"][0]):
                self._answer(HTTPStatus.FORBIDDEN, b"wrong token\n")
                return
            self.send_response(HTTPStatus.SEE_OTHER)  # out of the address, before somebody copies it
            self.send_header("Set-Cookie", f"{COOKIE}={self.server.token}; HttpOnly; SameSite=Strict; Path=/")
            self.send_header("Location", "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif not self._allowed():
            self._answer(HTTPStatus.FORBIDDEN, b"open the address with the token that navstack fly printed\n")
        elif path == "/":
            self._answer(HTTPStatus.OK, _file("page.html"), "text/html; charset=utf-8")
        elif path == "/page.js":
            self._answer(HTTPStatus.OK, _file("page.js"), "text/javascript; charset=utf-8")
        elif path == "/state":
            self._answer(HTTPStatus.OK, self.server.watch.as_json(), "application/json")
        elif path == "/picture":
            picture = self.server.watch.picture()
            self._answer(HTTPStatus.OK if picture else HTTPStatus.NOT_FOUND, picture, "image/png")
        elif path == "/attention":
            self._show_attention()
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"not found\n")

    def _show_attention(self) -> None:
        try:
            picture = self.server.watch.attention()
        except InputError as error:
            self._answer(HTTPStatus.NOT_FOUND, f"{error}\n".encode())
            return
        self._answer(HTTPStatus.OK if picture else HTTPStatus.NOT_FOUND, picture, "image/png")

    def do_POST(self) -> None:
        """The one thing that may be asked for. A page of another site cannot set the header."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"too large\n")
            return
        self.rfile.read(int(length))
        if not self._allowed() or self.headers.get("X-Navstack") != "hold":
            self._answer(HTTPStatus.FORBIDDEN, b"forbidden\n")
        elif self._target()[0] == "/hold":
            self.server.watch.hold()
            self._answer(HTTPStatus.OK, b"hold was asked for\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"not found\n")

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        try:
            parts = urllib.parse.urlsplit(self.path)
            return parts.path, urllib.parse.parse_qs(parts.query, max_num_fields=10)
        except ValueError:
            return "", {}

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), (self.server.token or "").encode())

    def _allowed(self) -> bool:
        if self.server.token is None:
            return True
        try:
            found = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except http.cookies.CookieError:
            return False
        return found is not None and self._is_token(found.value)

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        for name, value in {**SECURITY, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


def _file(name: str) -> bytes:
    return (resources.files("navstack.view") / name).read_bytes()


def _finite(value: Any) -> Any:
    """JSON knows no number that is none."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def parse_address(address: str) -> tuple[str, int]:
    """HOST:PORT. Raises InputError for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"the page's address is '{address}'; expected HOST:PORT, as in 127.0.0.1:8000")
    return host.strip("[]"), int(port)


def serve(address: str, watch: Watch, token: str | None) -> tuple[Server, str]:
    """The server, listening, and the page's address. Raises InputError where it cannot listen."""
    host, port = parse_address(address)
    try:
        server = Server((host, port), watch, token)
    except OSError as error:
        raise InputError(f"the page cannot be served on {address} ({error.strerror or error})") from error
    shown = f"[{host}]" if ":" in host else host
    return server, f"http://{shown}:{server.server_address[1]}/{f'?token={token}' if token else ''}"


def main() -> int:
    """Serve until the flight loop is gone."""
    step_back()
    settings = read_settings()
    try:
        ring = Ring.open(settings["ring"])
        reader, card = RingReader(ring, settings["reader"]), json.loads(settings["card"])
        watch = Watch(ring, reader, card, settings["policy"])
        server, address = serve(settings["address"], watch, settings["token"])
    except InputError as error:
        print(f"navstack page: {error}", file=sys.stderr, flush=True)
        return 2
    print(f"page: {address} (its HOLD is no emergency stop)", flush=True)
    threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
    while not loop_is_gone():
        watch.look()
        time.sleep(POLL)
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
