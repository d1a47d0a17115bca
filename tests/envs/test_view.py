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
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from navstack.envs.commands.view import View
from navstack.envs.navigation import NavigationEnv
from navstack.episodes import episode_path, load_episode, save_episode
from navstack.errors import InputError
from navstack.policies.imitation.config import CollectConfig
from navstack.policies.imitation.rollout import CollectJob, collect_episode

pytest.importorskip("rerun", reason="needs the extra navstack[view]")
from rerun.chunk import RrdReader

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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of an expert's flight, as `navstack collect` writes it."""
    folder = tmp_path_factory.mktemp("episodes")
    collect_episode(CollectJob(folder, CollectConfig(longest=1.0, anywhere=0.0), 0, 0))
    return episode_path(folder, 0, 0)


Stream = dict[str, list[tuple[float, dict[str, Any]]]]


def stream_of(path: Path) -> Stream:
    """What a Rerun recording says of each entity: rows by component with their time (s; -1: always)."""
    found: Stream = defaultdict(list)
    for chunk in RrdReader(str(path)).stream():
        batch = chunk.to_record_batch()
        times = -1e9 if chunk.is_static else batch.column("flight").cast("int64").to_numpy()
        for row, at in enumerate(np.broadcast_to(times, batch.num_rows) / 1e9):
            parts = {n: batch.column(n)[row].as_py() for n in batch.schema.names if ":" in n}
            found[chunk.entity_path].append((float(at), parts))
    return {name: sorted(rows, key=lambda row: row[0]) for name, rows in found.items()}


def shown(path: Path, folder: Path) -> Stream:
    """What the replay of an episode sends to the viewer."""
    out = folder / "replay.rrd"
    View(episode=path, save=out)()
    return stream_of(out)


def test_a_recorded_episode_is_shown_as_it_was_flown(recorded: Path, tmp_path: Path) -> None:
    episode, stream = load_episode(recorded), shown(recorded, tmp_path)
    times = pytest.approx((np.cumsum(episode.dt, dtype=np.float64) - episode.dt[0]).tolist(), abs=1e-6)
    assert [at for at, _ in stream["/camera"]] == times
    pictures = [row["Image:buffer"][0] for _, row in stream["/camera"]]
    assert np.array_equal(np.array(pictures, np.uint8), episode.image.reshape(len(episode), -1))
    for who, commands in (("flown", episode.command), ("expert", episode.expert_command)):
        for column, name in enumerate(("forward", "left", "up", "yaw_rate")):
            rows = [row for row in stream[f"/command/{name}/{who}"] if row[0] >= 0.0]
            assert [at for at, _ in rows] == times
            values = [row["Scalars:scalars"][0] for _, row in rows]
            assert values == pytest.approx(commands[:, column].tolist())
    (path,) = stream["/world/trajectory"][-1][1]["LineStrips3D:strips"]
    assert np.allclose(path, episode.position_enu, atol=1e-6)
    (heading,) = stream["/world/drone"][-1][1]["Arrows3D:vectors"]
    assert np.arctan2(heading[1], heading[0]) == pytest.approx(float(episode.yaw[-1]), abs=1e-5)
    before, after = (row["TextDocument:text"][0] for _, row in stream["/outcome"])
    assert "under way" in before
    assert after.splitlines()[0] == "# 🟡 cut off"
    assert f"seed {episode.facts.seed}, episode 0, by expert" in after


def test_the_chase_view_of_an_episode_is_drawn_anew_in_its_world(recorded: Path, tmp_path: Path) -> None:
    stream = shown(recorded, tmp_path)
    drawn = [np.array(row["EncodedImage:blob"][0], np.uint8) for _, row in stream["/chase"]]
    first, last = (cv2.imdecode(blob, cv2.IMREAD_COLOR_RGB).astype(int) for blob in (drawn[0], drawn[-1]))
    environment = NavigationEnv()
    environment.reset(seed=load_episode(recorded).facts.seed)
    simulator = environment.simulator
    again = simulator.chase_view(480, 270)
    assert np.abs(first - again).mean() < 4.0  # JPEG
    assert np.abs(first - last).mean() > 8.0
    (target,) = stream["/world/target"][0][1]["Points3D:positions"]
    assert target == pytest.approx(simulator.scenario.target_enu)
    assert len(stream["/world/obstacles"][0][1]["Boxes3D:centers"]) > 10
    environment.close()


def test_an_episode_from_a_world_that_cannot_be_built_again_is_shown_without_it(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    episode = load_episode(recorded)
    moved = replace(episode, facts=replace(episode.facts, seed=episode.facts.seed + 1))
    stream = shown(save_episode(tmp_path, moved), tmp_path)
    assert "cannot be built again" in capsys.readouterr().out
    assert len(stream["/camera"]) == len(episode)
    assert not {"/chase", "/world/obstacles"} & set(stream)
