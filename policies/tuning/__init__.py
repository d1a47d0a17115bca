"""Tuning: which settings, and how many neurons, a task needs."""
