"""What `navstack evaluate` does with its arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from navstack.envs.commands.evaluate import Evaluate
from navstack.envs.evaluation.film import write_flight_film
from navstack.envs.evaluation.record import FlightRecord
from navstack.envs.evaluation.report import write_report
from navstack.envs.evaluation.run import Conditions, evaluate
from navstack.envs.navigation import checked_perturbations, checked_world
from navstack.envs.tasks import make_task
from navstack.envs.vehicle import DEFAULT_AIRFRAME, load_airframe
from navstack.errors import InputError
from navstack.files import check_new_file, write_atomically
from navstack.options import parse_options
from navstack.policy import OnnxPolicy
from navstack.results import SUCCESS
from navstack.timing import FrameTiming


def run(arguments: Evaluate) -> int:
    """Evaluate, print the table and write what was asked for. Raises InputError before anything flies."""
    conditions = _checked(arguments)
    policy = OnnxPolicy.load(arguments.policy)
    if not arguments.other_task:
        _check_task(policy, arguments.env)
    filmed = 1 if arguments.video or arguments.report else 0
    console = Console()
    with _progress(console) as progress:
        bar = progress.add_task("flying", total=len(arguments.world) * arguments.episodes, won=0)
        won = 0

        def on_record(record: FlightRecord) -> None:
            nonlocal won
            won += record.outcome == SUCCESS
            progress.update(bar, advance=1, won=won, description=f"flying {record.world}")

        rows, records = evaluate(
            arguments.policy, arguments.world, arguments.episodes, arguments.seed, conditions,
            workers=arguments.workers, filmed=filmed, on_record=on_record,
        )  # fmt: skip
    print_rows(console, rows)
    for record in records:
        if record.outcome != SUCCESS:
            console.print(f"  {record.world} seed {record.seed}: {record.detail}", highlight=False)
    _write(arguments, policy, rows, records)
    return 0


def _checked(arguments: Evaluate) -> Conditions:
    if arguments.episodes < 1 or arguments.workers < 1:
        raise InputError("--episodes and --workers must be at least 1")
    if not arguments.world:
        raise InputError("--world names no world; give at least one (navstack worlds lists them)")
    for world in arguments.world:
        checked_world(world, "evaluate")
    airframe = arguments.airframe or DEFAULT_AIRFRAME
    load_airframe(airframe)
    for path in (arguments.json, arguments.video, arguments.report):
        check_new_file(path)
    timing = FrameTiming(arguments.rate, arguments.drop, arguments.jitter)
    checked_perturbations(arguments.perturb, "evaluate")
    make_task(arguments.env, parse_options(arguments.task_option))
    return Conditions(
        arguments.env, airframe, timing, arguments.perturb, arguments.guard, arguments.difficulty,
        arguments.task_option, arguments.other_task,
    )  # fmt: skip


def _check_task(policy: OnnxPolicy, task: str) -> None:
    try:
        policy.check_task(task)
    except InputError as error:
        raise InputError(f"{error}; --other-task flies it all the same") from error


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[won]} won"), TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip


def print_rows(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """The result table."""
    flown = f"{rows[0]['env']} {rows[0]['task_options']}".strip()
    trained_for, whose = rows[0]["trained_for"], ""
    if trained_for != rows[0]["env"]:
        whose = f" (trained for {trained_for})"
    table = Table(title=f"{rows[0]['policy']}{whose} in {flown}, {rows[0]['perturb']} perturbed")
    for column in ("world", "flights", "success", "95% interval", "collisions", "timeouts", "first seed"):
        table.add_column(column, justify="left" if column == "world" else "right")
    for row in rows:
        table.add_row(
            row["world"], str(row["episodes"]), f"{100 * row['success_rate']:.1f}%",
            f"{100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f}%",
            str(row["collisions"]), str(row["timeouts"]), str(row["seed"]),
        )  # fmt: skip
    console.print(table)


def _write(
    arguments: Evaluate, policy: OnnxPolicy, rows: list[dict[str, Any]], records: list[FlightRecord]
) -> None:
    if arguments.json:
        write_atomically(arguments.json, (json.dumps(rows, indent=1) + "\n").encode())
        print(f"rows: {arguments.json}")
    with TemporaryDirectory() as scratch:
        film = arguments.video or (Path(scratch) / "film.mp4" if arguments.report else None)
        if film:
            write_flight_film(film, [record for record in records if record.chase])
        if arguments.video:
            print(f"film: {arguments.video}")
        if arguments.report:
            write_report(arguments.report, records, rows, policy.card, _metrics(arguments.metrics), film)
            print(f"page: {arguments.report}")


def _metrics(path: Path | None) -> list[dict[str, Any]] | None:
    if path is None:
        return None
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a metrics.jsonl of a training run ({error})") from error
