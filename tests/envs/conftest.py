"""Hypothesis for tests that simulate."""

from hypothesis import HealthCheck, settings

# A shared machine may be slow for a moment; that is no failure of what is tested.
settings.register_profile("navstack", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("navstack")
