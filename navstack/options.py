"""Options given as `name=value` on a command line."""

from __future__ import annotations

from collections.abc import Sequence

from navstack.errors import InputError


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """Values by name. Raises InputError for a text without `=` and for a name given twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InputError(f"option '{text}' is not name=value, for instance distance=2")
        if name in found:
            raise InputError(f"option '{name}' is given twice")
        found[name] = value
    return found
