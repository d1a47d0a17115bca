"""Links to real autopilots: MAVLink (PX4, ArduCopter) and MSP (Betaflight).

An address says what speaks at the other end and how it is reached: `udpin:127.0.0.1:14540`,
`serial:/dev/ttyAMA0:921600` (MAVLink).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from navstack.autopilot.link import AutopilotLink, LinkConfig
from navstack.autopilot.transport import Transport, open_transport
from navstack.errors import InputError
from navstack.flight import Clock


def _mavlink(transport: Transport, clock: Clock, config: LinkConfig) -> AutopilotLink:
    try:
        from navstack.autopilot.mavlink import MavlinkLink
    except ModuleNotFoundError as error:
        if error.name != "pymavlink":
            raise
        raise InputError(
            "MAVLink needs the package 'pymavlink', which is not installed; pip install 'navstack[mavlink]'"
        ) from error
    return MavlinkLink(transport, clock, config, time.time())


PROTOCOLS: dict[str, Callable[[Transport, Clock, LinkConfig], AutopilotLink]] = {"mavlink": _mavlink}


def connect(address: str, clock: Clock, config: LinkConfig | None = None) -> AutopilotLink:
    """The link to the autopilot at an address: `[mavlink:]udpin:HOST:PORT` and so on.

    Nothing has been heard of the autopilot when it returns: `poll` until `status().identity` is known. Raises
    InputError for an address that is wrong or cannot be opened, or where a package is missing.
    """
    protocol, _, rest = address.partition(":")
    if protocol not in PROTOCOLS:
        protocol, rest = "mavlink", address
    return PROTOCOLS[protocol](open_transport(rest), clock, config or LinkConfig())
