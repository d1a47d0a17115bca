"""Flights in Rerun's viewer."""
