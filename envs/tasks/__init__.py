"""Flight tasks, one file each. A new task is one file and one line here."""

from navstack.envs.tasks.base import Task
from navstack.envs.tasks.fly_to_target import FlyToTarget
from navstack.envs.tasks.search import Search

TASKS: dict[str, type[Task]] = {
    "FlyToTarget": FlyToTarget,
    "Search": Search,
}
