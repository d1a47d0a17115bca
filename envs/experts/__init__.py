"""Privileged controllers that demonstrate the tasks."""
