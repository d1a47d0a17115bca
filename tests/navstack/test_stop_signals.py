"""A signal is looked at between two turns; a second one ends the process at once."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import time
from navstack.onboard import stop_signals
with stop_signals() as stop:
    print("flying", flush=True)
    while stop() is None:
        time.sleep(0.01)
    print("seen", stop(), flush=True)
    while True:  # handing over takes its time
        time.sleep(0.01)
"""


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_first_is_seen_and_the_second_ends_it(second):
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "flying\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "seen SIGTERM\n"
        assert process.poll() is None
        process.send_signal(second)
        assert process.wait(10.0) == -second
