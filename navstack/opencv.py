"""OpenCV, with an answer where it cannot be loaded.

The module `cv2` comes from `opencv-python` or from `opencv-python-headless`: either will do. The first needs
system libraries that a bare server and Raspberry Pi OS Lite lack.
"""

from __future__ import annotations

from navstack.errors import InputError

TWO_WAYS = (
    "either install the libraries that opencv-python needs (Debian: apt-get install libgl1 libglib2.0-0), or"
    " the build that needs none: pip uninstall opencv-python && pip install opencv-python-headless"
)

try:
    import cv2
except ImportError as error:
    raise InputError(f"OpenCV cannot be loaded ({error}); {TWO_WAYS}") from error

__all__ = ["TWO_WAYS", "cv2", "one_thread"]


def one_thread() -> None:
    """Compute in the thread that calls: pictures are small, and handing them to others costs more."""
    cv2.setNumThreads(1)
