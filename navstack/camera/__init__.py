"""Cameras as frame sources of the flight loop: the newest frame wins, and there is no queue."""

from navstack.camera.geometry import Calibration, Rectifier, load_calibration, rectifier_for
from navstack.camera.newest import CameraError, NewestFrame
from navstack.camera.sources import SOURCES, open_source

__all__ = [
    "SOURCES",
    "Calibration",
    "CameraError",
    "NewestFrame",
    "Rectifier",
    "load_calibration",
    "open_source",
    "rectifier_for",
]
