"""navstack: camera-only drone navigation with tiny liquid networks."""

__version__ = "0.1.0"
