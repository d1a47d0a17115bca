"""For tests that simulate: hypothesis, and the worlds of the library."""

import pytest
from hypothesis import HealthCheck, settings

from navstack.envs.worlds.spec import world_names

# A shared machine may be slow for a moment; that is no failure of what is tested.
settings.register_profile("navstack", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("navstack")

QUICK = ("hills", "office", "photo", "studio")  # slopes, a room, photographs, every texture


@pytest.fixture(params=[pytest.param(w, marks=() if w in QUICK else pytest.mark.slow) for w in world_names()])
def world(request: pytest.FixtureRequest) -> str:
    """The name of each library world; all but a few different ones for slow tests only."""
    return str(request.param)
