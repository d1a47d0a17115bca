"""Flight tasks, one file each. A new task is one file and one line here."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from navstack.envs.tasks.base import Task
from navstack.envs.tasks.chase import Chase
from navstack.envs.tasks.clutter import Clutter
from navstack.envs.tasks.distractors import Distractors
from navstack.envs.tasks.first_seen import FirstSeen
from navstack.envs.tasks.fly_to_target import FlyToTarget
from navstack.envs.tasks.gates import Gates
from navstack.envs.tasks.hike import Hike
from navstack.envs.tasks.occlusion import Occlusion
from navstack.envs.tasks.parameters import converted
from navstack.envs.tasks.search import Search
from navstack.errors import InputError, nearest

TASKS: dict[str, type[Task]] = {
    "FlyToTarget": FlyToTarget,
    "Search": Search,
    "Clutter": Clutter,
    "Gates": Gates,
    "Occlusion": Occlusion,
    "Distractors": Distractors,
    "FirstSeen": FirstSeen,
    "Hike": Hike,
    "Chase": Chase,
}


def make_task(name: str, parameters: Mapping[str, Any]) -> Task:
    """The task of this name with these parameters, whose values may be text.

    Raises InputError for an unknown task, and for a parameter that it has not or that is out of range.
    """
    if name not in TASKS:
        raise InputError(f"task '{name}' not found{nearest(name, TASKS)} (tasks: {', '.join(TASKS)})")
    kind: Any = TASKS[name]
    known = {field.name: field.default for field in fields(kind)}
    hints = get_type_hints(kind)
    for key in parameters:
        if key not in known:
            has = ", ".join(f"{field}={default}" for field, default in known.items()) or "none"
            raise InputError(
                f"task '{name}' has no parameter '{key}'{nearest(key, known)} (its parameters: {has})"
            )
    task: Task = kind(
        **{key: converted(f"{name}'s {key}", value, hints[key]) for key, value in parameters.items()}
    )
    return task
