"""The guard between policy and autopilot: one rule a file, and their order."""

from navstack.safety.guard import Guard, GuardDecision, GuardEvent, guard_for, rule_table
from navstack.safety.rule import Demand, GuardConfig, VehicleHealth

__all__ = [
    "Demand",
    "Guard",
    "GuardConfig",
    "GuardDecision",
    "GuardEvent",
    "VehicleHealth",
    "guard_for",
    "rule_table",
]
