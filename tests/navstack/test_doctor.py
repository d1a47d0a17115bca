"""`navstack doctor`, and the two ways out where OpenCV does not load."""

import importlib.util
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from navstack.commands.doctor import Doctor
from navstack.doctor import check_camera, check_clock, check_disk, check_link, examine

_board = Path(__file__).parent / "autopilot" / "msp_board.py"
_spec = importlib.util.spec_from_file_location("msp_board", _board)
assert _spec is not None
msp_board = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(msp_board)


def test_this_machine_is_looked_at_and_each_finding_says_what_to_do(tmp_path):
    found = {finding.what: finding for finding in examine(Doctor(folder=tmp_path))}
    assert {"opencv", "policy", "speed", "timer", "clock", "disk", "disk speed", "memory"} <= set(found)
    assert found["policy"].ok
    assert "real_flights: 0" in found["policy"].found
    assert all(finding.ok or finding.advice for finding in found.values())


def test_what_is_not_fit_is_a_finding_and_the_exit_status(tmp_path):
    command = [sys.executable, "-m", "navstack", "doctor", "--json", "--folder", str(tmp_path)]
    done = subprocess.run(
        [*command, "--camera", "/dev/video99", "--camera-fov", "80"], capture_output=True, text=True
    )
    rows = {row["what"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 1
    assert not rows["camera"]["ok"]
    assert "cannot be opened" in rows["camera"]["found"]


def test_a_camera_is_judged_by_its_rate_and_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("navstack.doctor.LOOK", 0.5)
    for index in range(40):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((64, 96, 3), np.uint8))
    arguments = Doctor(camera=str(tmp_path), camera_fov=80.0, rate=20.0)
    rate, picture = check_camera(arguments)
    assert "own" in rate.found
    assert (picture.ok, picture.found) == (False, "black or saturated")


def test_nobody_on_the_link_is_said(monkeypatch):
    monkeypatch.setattr("navstack.doctor.LISTEN", 0.3)
    (finding,) = check_link(Doctor(autopilot="udpin:127.0.0.1:14977"))
    assert (finding.ok, "no autopilot is heard" in finding.found) == (False, True)
    assert "baud" in finding.advice


def test_a_betaflight_board_is_looked_at_and_only_asked():
    board = msp_board.MspBoard()
    board.arming = 1 << 2 | 1 << 7
    with msp_board.TcpBoard(board) as there:
        found = {f.what: f for f in check_link(Doctor(autopilot=there.address))}
    assert "Betaflight 4.6.0" in found["link"].found
    assert found["battery"].found == "15.2 V, 4 cells, 50%"
    assert (found["arming"].ok, "RXLOSS, THROTTLE" in found["arming"].found) == (False, True)
    assert found["switches"].ok
    assert "not known yet" in found["override mask"].found
    assert found["watchdog"].ok
    assert (found["estimate"].ok, "--velocity" in found["estimate"].found) == (False, True)
    assert board.sticks == 0


def test_the_estimator_of_a_betaflight_vehicle_is_looked_at_too():
    board, stop = msp_board.MspBoard(), threading.Event()
    with msp_board.TcpBoard(board) as there, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        port = _free_udp_port()
        sending = threading.Thread(target=_estimate, args=(out, port, stop))
        sending.start()
        try:
            arguments = Doctor(autopilot=there.address, velocity=f"udpin:127.0.0.1:{port}")
            found = {f.what: f for f in check_link(arguments)}
        finally:
            stop.set()
            sending.join()
    assert found["estimate"].ok
    assert "visual-inertial, system 7 component 197" in found["estimate"].found


def _free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _estimate(out, port, stop):
    """What a visual-inertial odometry sends of a vehicle that stands still."""
    from pymavlink.dialects.v20 import common

    mav = common.MAVLink(None, srcSystem=7, srcComponent=197)
    while not stop.wait(0.03):
        message = common.MAVLink_odometry_message(
            time.monotonic_ns() // 1000, common.MAV_FRAME_LOCAL_FRD, common.MAV_FRAME_BODY_FRD,
            0.0, 0.0, 0.0, [1.0, 0.0, 0.0, 0.0], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, [float("nan")] * 21,
            [float("nan")] * 21, 0, common.MAV_ESTIMATOR_TYPE_VIO, 90,
        )  # fmt: skip
        out.sendto(message.pack(mav), ("127.0.0.1", port))


def test_a_full_disk_and_a_clock_that_was_never_set_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr("navstack.doctor.LEAST_DISK", 1e9)
    assert not next(iter(check_disk(Doctor(folder=tmp_path)))).ok
    monkeypatch.setattr("navstack.doctor.OLDEST_YEAR", 9999)
    assert not list(check_clock(Doctor()))[1].ok


HIDDEN = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
sys.meta_path.insert(0, Broken())
sys.argv = ["navstack", *sys.argv[1:]]
from navstack.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("command", ["doctor", "fly"])
def test_where_opencv_does_not_load_both_ways_out_are_said(command, tmp_path):
    arguments = (
        ["fly", "fly-to-target", "--log", str(tmp_path / "x.mcap")] if command == "fly" else ["doctor"]
    )
    done = subprocess.run([sys.executable, "-c", HIDDEN, *arguments], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2)
    assert "libGL.so.1" in said
    assert "apt-get install libgl1" in said
    assert "opencv-python-headless" in said
    assert "Traceback" not in said


def test_every_part_that_flies_takes_opencv_from_one_place():
    root = Path(__file__).parents[2] / "navstack"
    assert [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if "\nimport cv2" in path.read_text() and path.name != "opencv.py"
    ] == []
