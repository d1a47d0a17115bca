"""What is looked at on a Betaflight board before flight: one finding a thing."""

from __future__ import annotations

from navstack.autopilot import msp
from navstack.autopilot.board import Board
from navstack.autopilot.link import Finding
from navstack.autopilot.sticks import STICKS

SLOWEST_FAILSAFE = 1.5  # s
# What keeps it from arming until the pilot or a moment ends it.
PASSING = {"BOOTGRACE", "CALIB", "THROTTLE", "ANGLE", "NOPREARM", "ARM_SWITCH"}
_PROCEDURES = {0: "land", 1: "drop", 2: "GPS rescue"}
_NEEDED = {msp.BOX_ARM: "ARM", msp.BOX_ANGLE: "ANGLE", msp.BOX_MSP_OVERRIDE: "MSP OVERRIDE"}


def untold(missing: list[int]) -> Finding:
    """The board does not answer everything."""
    return Finding(
        "MSP", f"no answer to {', '.join(map(str, missing))}", "all answered", False,
        "check the port's MSP setting and its baud rate", "src/main/msp/msp.c",
    )  # fmt: skip


def findings(
    board: Board, follow: set[int] | None, source: str, unfit: str, watched: bool
) -> tuple[Finding, ...]:
    """The judgement of what was told and probed.

    Args:
        board: what the board told.
        follow: channels that the override moves; None until probed.
        source: what velocity comes from.
        unfit: what is wrong with the estimate; empty for nothing.
        watched: whether a watchdog process runs.
    """
    actual = board.rates is not None and board.rates[0].actual
    return (
        Finding("firmware", f"{board.identity or board.variant}", "Betaflight", board.variant == "BTFL",
                "this link speaks to Betaflight only", "src/main/msp/msp.c, MSP_FC_VARIANT"),
        _switches(board), mask(board, follow), _failsafe(board), _arming(board),
        Finding("rates", "actual" if actual else "another curve", "actual", actual, "set rates_type = ACTUAL",
                "src/main/fc/rc.c, applyActualRates"),
        _battery(board),
        Finding("watchdog", "running" if watched else "none", "running", watched,
                "older Betaflight flies the last sticks for ever when the companion is silent",
                "src/main/rx/msp_override.c"),
        Finding("estimate", unfit or source, "velocity and attitude younger than 0.3 s", not unfit,
                "start the source of velocity; it sends MAVLink ODOMETRY to the address of --velocity",
                "mavlink.io, ODOMETRY"),
    )  # fmt: skip


def mask(board: Board, follow: set[int] | None) -> Finding:
    """MSP tells no mask: it is found out on the ground. An armed vehicle with an unknown one is not flown."""
    switches = {r.channel for r in board.ranges if r.box in _NEEDED}
    advice = "set msp_override_channels_mask = 15"
    if follow is None:
        ok = not board.active(msp.BOX_ARM)
        found = "not known yet: found out when the override is switched on while disarmed"
        advice = "land and disarm, switch the override on once on the ground"
    else:
        ok, found = set(STICKS) <= follow and not switches & follow, f"channels {sorted(follow)}"
    return Finding(
        "override mask", found, "the four sticks, and no switch of a mode", ok, advice,
        "src/main/rx/msp_override.c",
    )  # fmt: skip


def _switches(board: Board) -> Finding:
    missing = [name for box, name in _NEEDED.items() if box not in {r.box for r in board.ranges}]
    return Finding(
        "switches", f"no switch for {', '.join(missing)}" if missing else "ARM, ANGLE and MSP OVERRIDE",
        "ARM, ANGLE and MSP OVERRIDE on switches of the receiver", not missing,
        "put them on switches of the receiver (Modes)", "src/main/msp/msp_box.c",
    )  # fmt: skip


def _failsafe(board: Board) -> Finding:
    fail = board.failsafe
    found = f"{_PROCEDURES.get(fail.procedure, '?')} after {fail.delay:g} s" if fail else "not told"
    return Finding(
        "failsafe", found, f"any procedure within {SLOWEST_FAILSAFE:g} s",
        fail is not None and fail.delay <= SLOWEST_FAILSAFE,
        "set failsafe_delay to 15 or less", "src/main/flight/failsafe.c",
    )  # fmt: skip


def _arming(board: Board) -> Finding:
    grave = [name for name in board.arming if name not in PASSING]
    found = f"kept from it by {', '.join(board.arming)}" if board.arming else "nothing against it"
    return Finding(
        "arming", found, "nothing against it but sticks, switches and the first seconds", not grave,
        "Betaflight's documentation of arming prevention flags explains each",
        "src/main/fc/runtime_config.c",
    )  # fmt: skip


def _battery(board: Board) -> Finding:
    battery = board.battery
    if battery.voltage is None:
        found = "not measured: the guard knows no charge"
    else:
        told = [f"{battery.voltage:.1f} V", f"{board.cells} cells"]
        told += [] if battery.remaining is None else [f"{100.0 * battery.remaining:.0f}%"]
        told += [battery.warning] if battery.warning else []
        found = ", ".join(told)
    return Finding(
        "battery", found, "no warning", not battery.warning, "charge it", "src/main/sensors/battery.c"
    )
