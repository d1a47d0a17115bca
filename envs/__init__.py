"""The simulator wing: Gymnasium environments for camera-in-the-loop drone navigation on PyBullet.

Importing it registers the ids, so `gymnasium.make("navstack.envs:navstack/FlyToTarget-v0")` works. Without
gymnasium the import still succeeds: the command line lists this wing's commands and names the missing extra.
"""

import importlib.util

if importlib.util.find_spec("gymnasium"):
    from gymnasium.envs.registration import register

    for _task in (
        "FlyToTarget", "Search", "Clutter", "Gates", "Occlusion", "Distractors", "FirstSeen", "Hike", "Chase",
    ):  # fmt: skip
        register(f"navstack/{_task}-v0", "navstack.envs.navigation:NavigationEnv", kwargs={"task": _task})
