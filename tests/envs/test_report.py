"""The report page stands alone, says what was measured, and takes nobody's words for markup."""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from navstack.contract import PolicyCard
from navstack.envs.evaluation.record import FlightRecord
from navstack.envs.evaluation.report import write_report
from navstack.errors import InputError

CARD = PolicyCard(
    task="FlyToTarget", targets=("chair", "ball"), network="cfc-strict", wiring="strict", state_size=130,
    effective_parameters=19_872, raw_parameters=40_211, vision_parameters=38_211, neurons=130, synapses=4_311,
)  # fmt: skip
METRICS: list[dict[str, Any]] = [
    {"round": 0, "step": 50, "total_step": 50, "loss": 0.31, "gradient_norm": 2.0},
    {"round": 0, "step": 100, "total_step": 100, "loss": 0.12, "gradient_norm": 1.5},
    {"round": 0, "step": 100, "total_step": 100, "dev_success": 0.4},
    {"round": 1, "step": 50, "total_step": 150, "loss": 0.0567, "gradient_norm": float("nan")},
    {"round": 1, "step": 50, "total_step": 150, "dev_success": 0.85},
]


def flight(world: str, seed: int, outcome: str = "success", frames: int = 0) -> FlightRecord:
    """A straight flight of 60 points towards a target 8 m east."""
    path = np.stack([np.linspace(0, 5, 60), np.zeros(60), np.full(60, 1.5)], axis=1).astype(np.float32)
    images = tuple(np.full((64, 96, 3), (seed, index, 7), np.uint8) for index in range(frames))
    return FlightRecord(
        policy="runs/a/policy.onnx", env="FlyToTarget", world=world, seed=seed, outcome=outcome,
        detail=f"{outcome} after 3.0 s, 3.0 m from the target, 1.5 m high", seconds=3.0, start_distance=8.0,
        trajectory=path, target_enu=(8.0, 0.0, 0.5), obstacles=np.array([[4.0, 3.0, 0.5, 2.0]]),
        clearance=2.5, guard_events={"rate limits": 3} if seed == 2 else {}, frames=images, chase=images,
        frame_times=tuple((np.arange(frames) * 0.05).tolist()),
        commands=np.tile(np.array([1.25, 0.0, -0.1, 0.2], np.float32), (60, 1)),
    )  # fmt: skip


def row(world: str, episodes: int, successes: int, **more: Any) -> dict[str, Any]:
    """A row of the result table with a made-up interval."""
    return {
        "policy": "runs/a/policy.onnx", "env": "FlyToTarget", "world": world, "perturb": "none",
        "episodes": episodes, "successes": successes, "success_rate": successes / episodes,
        "ci_low": 0.4321, "ci_high": 0.9876, "collisions": 1, "timeouts": 0, "seed": 1,
        "wall_seconds": 2.0, **more,
    }  # fmt: skip


RECORDS = [
    flight("winter", 1, frames=20),
    flight("winter", 2),
    flight("urban", 1, "collision"),
    flight("urban", 2),
]
ROWS = [row("winter", 2, 2), row("urban", 2, 1), row("all", 4, 3)]


class Page(HTMLParser):
    """The elements and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(
    tmp_path: Path, records: list[FlightRecord] = RECORDS, rows: list[dict[str, Any]] = ROWS, **more: Any
) -> str:
    path = tmp_path / "index.html"
    path.unlink(missing_ok=True)
    write_report(path, records, rows, more.get("card", CARD), more.get("metrics"), more.get("film"))
    return path.read_text(encoding="utf-8")


def test_every_element_is_closed_and_every_id_is_its_own(tmp_path: Path) -> None:
    parsed = Page(page(tmp_path, metrics=METRICS))
    assert parsed.open == []
    ids = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert max(ids.values()) == 1
    for _, attributes in parsed.elements:
        for name in ("href", "xlink:href"):
            if name in attributes:
                assert (attributes[name] or "")[1:] in ids


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    text = page(tmp_path, metrics=METRICS, film=film)
    for tag, attributes in Page(text).elements:
        assert tag not in {"link", "script", "iframe", "object"}
        assert (attributes.get("src") or "data:").startswith("data:")
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_table_says_what_was_measured(tmp_path: Path) -> None:
    text = Page(page(tmp_path)).text
    assert "winter 2 100% 43.2% to 98.8%" in text
    assert "urban 2 50.0% 43.2% to 98.8%" in text
    assert "all worlds 4 75.0%" in text
    assert "3 of 4 flights succeeded" in text
    assert "1 to 2" in text  # seeds
    assert (
        "navstack evaluate runs/a/policy.onnx --env FlyToTarget --world winter urban --episodes 2 --seed 1"
        in text
    )


def test_failures_and_the_guard_are_told(tmp_path: Path) -> None:
    text = Page(page(tmp_path)).text
    assert "1 of 4 flights failed" in text
    assert "collision after 3.0 s, 3.0 m from the target" in text
    assert "The guard acted in 2 of 4 flights: rate limits 6 ×" in text
    unharmed = Page(page(tmp_path, RECORDS[:1], ROWS[:1])).text
    assert "None of the 1 flights failed" in unharmed


def test_perturbed_flights_are_named_and_get_no_command_that_would_not_repeat_them(tmp_path: Path) -> None:
    text = Page(page(tmp_path, rows=[row("winter", 2, 2, perturb="drop 0.5")])).text
    assert "intervals, drop 0.5" in text
    assert "These flights" not in text


def test_frames_are_the_policys_own_pixels(tmp_path: Path) -> None:
    images = Page(page(tmp_path)).all("img")
    assert len(images) == 7
    data = base64.b64decode((images[-1]["src"] or "").removeprefix("data:image/png;base64,"))
    picture = np.asarray(Picture.open(BytesIO(data)))
    np.testing.assert_array_equal(picture, RECORDS[0].frames[-1])
    assert "forward +1.25 m/s" in Page(page(tmp_path)).text


def test_the_film_is_inside_the_page(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\x00film\xff")
    (video,) = Page(page(tmp_path, film=film)).all("video")
    assert video["src"] == "data:video/mp4;base64," + base64.b64encode(b"\x00film\xff").decode()
    assert "controls" in video
    assert not Page(page(tmp_path)).all("video")


def test_a_film_that_is_missing_leaves_the_earlier_page(tmp_path: Path) -> None:
    page(tmp_path)
    before = (tmp_path / "index.html").read_bytes()
    with pytest.raises(InputError, match=r"absent\.mp4"):
        write_report(tmp_path / "index.html", RECORDS, ROWS, CARD, None, tmp_path / "absent.mp4")
    assert (tmp_path / "index.html").read_bytes() == before


def test_learning_curves_come_from_what_was_logged(tmp_path: Path) -> None:
    text = Page(page(tmp_path, metrics=METRICS)).text
    assert "Success in dev worlds 85.0% at the end" in text
    assert "Training loss 0.0567 at the end" in text
    assert "Gradient norm 1.5 at the end" in text  # the row without a number is left out
    assert "Learning curves" not in Page(page(tmp_path, metrics=[])).text


def test_obstacles_are_circles_and_outcomes_have_the_pages_colours(tmp_path: Path) -> None:
    text = page(tmp_path)
    for variable in ("--obstacle", "--success", "--collision", "--target"):
        assert f"var({variable})" in text.split("</style>", 1)[1]
    assert "prefers-color-scheme: dark" in text
    figures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(figures) == 2 + 4 + 1  # one a world, one a flight, and the recorded flight's commands
    assert not re.search(r"#0[0a]0", "".join(figures))  # no stand-in colour is left


def test_words_of_users_are_never_markup(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)> $\\frac$"
    records = [replace(flight(evil, 1, "collision", frames=4), detail=evil, guard_events={evil: 1})]
    card = replace(CARD, network=evil, training={"command": "</code></pre><script>alert(1)</script>"})
    parsed = Page(page(tmp_path, records, [row(evil, 1, 0, policy=evil)], card=card))
    assert evil in parsed.text
    assert not parsed.all("script")
    assert all((image["src"] or "").startswith("data:") for image in parsed.all("img"))
    assert not any("onerror" in attributes for _, attributes in parsed.elements)


def test_the_same_flights_make_the_same_page(tmp_path: Path) -> None:
    assert page(tmp_path, metrics=METRICS) == page(tmp_path, metrics=METRICS)


def test_a_flight_that_never_moved_still_has_a_page(tmp_path: Path) -> None:
    empty = replace(
        RECORDS[0], trajectory=np.zeros((0, 3), np.float32), commands=np.zeros((0, 4), np.float32),
        frames=(), chase=(), frame_times=(), obstacles=np.zeros((0, 4)), clearance=float("inf"),
    )  # fmt: skip
    assert "closest clear" in Page(page(tmp_path, [empty], ROWS[:1])).text


def test_four_hundred_flights_make_a_page_of_a_few_megabytes(tmp_path: Path) -> None:
    many = [flight(world, seed) for world in ("autumn", "winter") for seed in range(200)]
    assert len(page(tmp_path, many, [row("autumn", 200, 199), row("winter", 200, 199)])) < 3_000_000
