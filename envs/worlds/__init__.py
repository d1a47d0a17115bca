"""Worlds: the file format, procedural textures, and the builder from specification to PyBullet."""
