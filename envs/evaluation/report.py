"""One self-contained HTML page about an evaluation: opens from a disk, without network, light or dark."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image as Picture

from navstack.contract import Image, PolicyCard
from navstack.envs.evaluation import plots
from navstack.envs.evaluation.film import command_gauges
from navstack.envs.evaluation.record import FlightRecord
from navstack.errors import InputError
from navstack.files import write_atomically
from navstack.results import SUCCESS

MAPS = 8  # single flights drawn
FAILURES = 60  # failed flights listed
STRIP = 7  # frames shown of a flight
FILM_LIMIT = 64 * 2**20  # bytes of film that a page may hold

CURVES = (  # key of a row of metrics.jsonl, title, key of its x, name of x, logarithmic, a share
    ("dev_success", "Success in dev worlds", "round", "round", False, True),
    ("loss", "Training loss", "total_step", "gradient step", True, False),
    ("gradient_norm", "Gradient norm", "total_step", "gradient step", True, False),
    ("learning_rate", "Learning rate", "total_step", "gradient step", False, False),
)


def write_report(
    path: Path,
    records: Sequence[FlightRecord],
    rows: list[dict[str, Any]],
    card: PolicyCard,
    metrics: list[dict[str, Any]] | None,
    film: Path | None,
) -> None:
    """Write the page.

    `rows` are those of `navstack evaluate --json`, `metrics` those of a training run's metrics.jsonl, `film`
    an MP4 that browsers play. Raises InputError when the film cannot be read or the page cannot be written.
    """
    page = _template().render(
        **_header(rows, card, records),
        **_failures(records),
        **_pictures(records),
        **_learning(metrics or []),
        film=_film(film),
        card_json=json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False),
        command=_command(rows),
    )
    write_atomically(path, page.encode())


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = lambda rate: "100%" if rate >= 1.0 else f"{100.0 * rate:.1f}%"
    environment.filters["share"] = lambda rate: f"{100.0 * rate:.2f}%"
    environment.filters["metres"] = lambda value: f"{value:.1f} m" if np.isfinite(value) else "clear"
    return environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))


def _header(
    rows: Sequence[dict[str, Any]], card: PolicyCard, records: Sequence[FlightRecord]
) -> dict[str, Any]:
    worlds = [row["world"] for row in rows if row["world"] != "all"]
    shown = [_shown(row) for row in rows]
    conditions = {row[key] for row in rows for key in ("task_options", "perturb") if row.get(key)} - {"none"}
    task = rows[0]["env"] if rows else card.task
    if task != card.task:
        conditions.add(f"the policy was trained for {card.task}, not for {task}")
    name = rows[0]["policy"] if rows else "policy"
    count = f"{len(worlds)} worlds" if len(worlds) != 1 else f"the world {worlds[0]}"
    ring = plots.SUCCESS_RINGS.get(records[0].env if records else "")
    return {
        "title": f"{task} in {count}: {name}",
        "headline": f"{task} by camera alone, in {count}",
        "pooled": shown[-1] if shown else None,
        "rows": shown,
        "conditions": ", ".join(sorted(conditions)),
        "facts": _facts(card),
        "ring": f"{ring[0]:g} to {ring[1]:g} m, where it must stand still" if ring else "",
        "camera": f"{card.camera.width} × {card.camera.height}",
        "flights": len(records),
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "world": "all worlds" if row["world"] == "all" else row["world"],
        "pooled": row["world"] == "all",
        "episodes": row["episodes"],
        "successes": row["successes"],
        "rate": row["success_rate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "collisions": row["collisions"],
        "timeouts": row["timeouts"],
        "seeds": "" if row["world"] == "all" else f"{row['seed']} to {row['seed'] + row['episodes'] - 1}",
    }


def _facts(card: PolicyCard) -> list[tuple[str, str]]:
    return [
        ("network", card.network),
        ("core parameters", f"{card.effective_parameters:,}"),
        ("neurons, synapses", f"{card.neurons:,}, {card.synapses:,}"),
        ("CNN parameters", f"{card.vision_parameters:,}"),
        ("wiring", card.wiring),
        ("camera", f"{card.camera.width} × {card.camera.height} at {card.rate_hz:g} Hz"),
        ("targets", ", ".join(card.targets)),
        ("real flights", str(card.real_flights)),
    ]


def _failures(records: Sequence[FlightRecord]) -> dict[str, Any]:
    failed = [record for record in records if record.outcome != SUCCESS]
    acted = sum(bool(record.guard_events) for record in records)
    events: Counter[str] = Counter()
    for record in records:
        events.update(record.guard_events)
    words = ", ".join(f"{rule} {count} ×" for rule, count in events.most_common())
    return {
        "failures": failed,
        "failures_shown": failed[:FAILURES],
        "guard": {"flights": acted, "words": words} if acted else None,
    }


def _pictures(records: Sequence[FlightRecord]) -> dict[str, Any]:
    worlds = dict.fromkeys(record.world for record in records)
    groups = {world: [record for record in records if record.world == world] for world in worlds}
    overlays = [
        {"world": world, "count": len(group), "svg": Markup(plots.trajectories(group))}
        for world, group in groups.items()
    ]
    chosen = _notable(records)
    lost = sum(record.outcome != SUCCESS for record in chosen)
    note = "The flights that came closest to an obstacle, as they were flown."
    if lost:
        note = "Flights that failed, then those that came closest to an obstacle, as they were flown."
    return {
        "overlays": overlays,
        "maps": [{"record": record, "svg": Markup(plots.flight_map(record))} for record in chosen],
        "maps_note": note,
        "strips": [_strip(record) for record in records if record.frames],
    }


def _notable(records: Sequence[FlightRecord]) -> list[FlightRecord]:
    """Failed flights first, at most half of what is shown, then the ones that came closest to an obstacle."""
    failed = [record for record in records if record.outcome != SUCCESS][: MAPS // 2]
    rest = [record for record in records if record.outcome == SUCCESS]
    rest.sort(key=lambda record: (record.clearance, record.world, record.seed))
    return [*failed, *rest[: MAPS - len(failed)]]


def _strip(record: FlightRecord) -> dict[str, Any]:
    count = len(record.frames)
    indices = np.unique(np.linspace(0, count - 1, min(STRIP, count)).round().astype(int)).tolist()
    return {
        "record": record,
        "frames": [_strip_frame(record, index) for index in indices],
        "commands": Markup(plots.commands(record)),
    }


def _strip_frame(record: FlightRecord, index: int) -> dict[str, Any]:
    image = record.frames[index]
    return {
        "time": record.frame_times[index],
        "width": image.shape[1],
        "height": image.shape[0],
        "png": _png(image),
        "command": [(gauge.label, gauge.text) for gauge in command_gauges(record, index)],
    }


def _png(image: Image) -> str:
    stream = io.BytesIO()
    Picture.fromarray(image).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _learning(metrics: Sequence[dict[str, Any]]) -> dict[str, Any]:
    curves = []
    for key, title, x_key, x_label, log, share in CURVES:
        points = [
            (row[x_key], row[key]) for row in metrics if _number(row.get(key)) and _number(row.get(x_key))
        ]
        if len(points) < 2:
            continue
        xs, ys = zip(*points, strict=True)
        last = f"{100.0 * ys[-1]:.1f}% at the end" if share else f"{ys[-1]:.3g} at the end"
        svg = plots.curve(xs, ys, x_label, title.lower() + (" (%)" if share else ""), log=log, share=share)
        curves.append({"title": title, "last": last, "svg": Markup(svg)})
    return {"curves": curves, "curves_note": "As logged while this policy was trained (metrics.jsonl)."}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _film(film: Path | None) -> str | None:
    if film is None:
        return None
    try:
        data = film.read_bytes()
    except OSError as error:
        raise InputError(f"{film}: the film for the page cannot be read: {error.strerror}") from error
    if len(data) > FILM_LIMIT:
        raise InputError(
            f"{film}: {len(data) / 2**20:.0f} MiB of film do not fit a page;"
            f" at most {FILM_LIMIT / 2**20:.0f} MiB do, so record fewer flights"
        )
    return base64.b64encode(data).decode("ascii")


def _command(rows: Sequence[dict[str, Any]]) -> str:
    """What to type to fly these flights again; empty where the rows do not say all of it."""
    worlds = [row for row in rows if row["world"] != "all"]
    if not worlds:
        return ""
    first = worlds[0]
    if first["perturb"] != "none":
        return ""
    words = ["navstack", "evaluate", first["policy"], "--env", first["env"]]
    if first.get("trained_for", first["env"]) != first["env"]:
        words.append("--other-task")
    if first.get("task_options"):
        words += ["--task-option", *first["task_options"].split()]
    words.append("--world")
    words += [row["world"] for row in worlds]
    words += ["--episodes", str(first["episodes"]), "--seed", str(first["seed"])]
    return shlex.join(map(str, words))
