"""Cameras as frame sources of the flight loop: the newest frame wins, and there is no queue."""

from navstack.camera.geometry import Calibration, Rectifier, lens_for, load_calibration
from navstack.camera.newest import NewestFrame, open_camera
from navstack.camera.sources import SOURCES, open_source

__all__ = [
    "SOURCES",
    "Calibration",
    "NewestFrame",
    "Rectifier",
    "lens_for",
    "load_calibration",
    "open_camera",
    "open_source",
]
