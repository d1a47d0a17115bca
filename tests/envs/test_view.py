"""`navstack view`: what is sent to the viewer, and that a real browser draws it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from navstack.envs.commands.view import View
from navstack.errors import InputError

pytest.importorskip("rerun", reason="needs the extra navstack[view]")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1500,860", "--remote-debugging-pipe",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
)  # fmt: skip


class Browser:
    """Headless Chromium, spoken to through its DevTools pipe: JSON messages that end with a zero byte."""

    def __init__(self, profile: Path) -> None:
        (read_end, self._questions), (self._answers, write_end) = os.pipe(), os.pipe()
        command = f'exec "$0" "$@" 3<&{read_end} 4>&{write_end}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(read_end, write_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_end)
        os.close(write_end)
        self._number, self._rest = 0, b""

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._questions, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = os.read(self._answers, 1 << 20)
                assert part, "Chromium has ended"
                self._rest += part
            line, self._rest = self._rest.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> str:
        target = self.ask("Target.createTarget", url=url)["targetId"]
        return str(self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def screenshot(self, session: str) -> np.ndarray:
        data = base64.b64decode(self.ask("Page.captureScreenshot", session)["data"])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._questions)
        os.close(self._answers)


def pixels_near(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - color).max(axis=-1) < 30).sum())


def free_ports() -> int:
    """A port that is free with the one after it."""
    for port in range(29090, 29990, 2):
        with socket.socket() as a, socket.socket() as b:
            try:
                a.bind(("127.0.0.1", port))
                b.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no free ports")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_a_browser_shows_the_flight(tmp_path: Path) -> None:
    port = free_ports()
    command = [sys.executable, "-m", "navstack", "view", "--world", "forest", "--port", str(port)]
    viewer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    browser = Browser(tmp_path / "profile")
    try:
        assert viewer.stdout
        line = viewer.stdout.readline()
        assert line.startswith(f"open http://127.0.0.1:{port}/")
        session = browser.open(line.split()[1] + "&renderer=webgl")
        deadline = time.monotonic() + 240.0
        while time.monotonic() < deadline:
            time.sleep(2.0)
            picture = browser.screenshot(session)
            flown, expert = pixels_near(picture, (64, 196, 255)), pixels_near(picture, (255, 170, 60))
            if flown > 150 and expert > 150:
                break
        if folder := os.environ.get("NAVSTACK_SCREENSHOTS"):
            time.sleep(float(os.environ.get("NAVSTACK_WAIT", "20")))
            shown = cv2.cvtColor(browser.screenshot(session), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(Path(folder) / "view.png"), shown)
        assert flown > 150
        assert expert > 150
        listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False).stdout
        places = [line.split()[3] for line in listening.splitlines() if f":{port}" in line]
        assert all(place.startswith("127.0.0.1:") for place in places)
    finally:
        browser.close()
        viewer.terminate()
        viewer.wait()


def test_a_taken_port_is_refused_before_anything_flies() -> None:
    port = free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(InputError, match=f"port {port} cannot be used"):
            View(port=port)()


def test_an_episode_that_is_none_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "r00_00000.safetensors"
    wrong.write_bytes(b"nothing")
    with pytest.raises(InputError, match="r00_00000"):
        View(episode=wrong)()
