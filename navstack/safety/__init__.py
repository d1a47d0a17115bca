"""The guard between policy and autopilot: one rule a file, and their order."""

from navstack.safety.guard import Guard, GuardDecision, GuardEvent, guard_for, rule_table
from navstack.safety.rule import GuardConfig

__all__ = ["Guard", "GuardConfig", "GuardDecision", "GuardEvent", "guard_for", "rule_table"]
