"""`navstack replay`: a flight log through another policy or guard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Replay:
    """Run a flight log's pictures and states through another policy or guard, and print what differs.

    Nothing flies. Without options it is the log's own policy, where it ships, and the log's own guard: then
    nothing differs. Rules about link, battery, estimate and pilot are silent.
    """

    log: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LOG")]
    """Flight log (MCAP) of navstack fly."""
    policy: str | None = None
    """Another policy: path or name."""
    config: Path | None = None
    """TOML file of navstack fly, for its table of the guard's numbers."""
    speed: float | None = None
    """Another fastest flight in m/s."""
    turn: float | None = None
    """Another fastest turn in rad/s."""
    fence: float | None = None
    """Another radius of the fence in metres."""
    ceiling: float | None = None
    """Another ceiling in metres."""
    floor: float | None = None
    """Another floor in metres."""
    drift: float | None = None
    """Another drift by wind in m/s."""
    json: Path | None = None
    """Write the differences here."""

    def __call__(self) -> int:
        """Replay."""
        from navstack.replay import run

        return run(self)
