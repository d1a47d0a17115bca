"""Flights in which something breaks, and what must follow: `scripts/faults`."""
