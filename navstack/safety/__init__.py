"""The guard between policy and autopilot: one rule a file, and their order."""
