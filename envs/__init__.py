"""The simulator wing: Gymnasium environments for camera-in-the-loop drone navigation on PyBullet."""
