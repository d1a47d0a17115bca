"""What a child knows of its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import subprocess, sys, time
from navstack.child import die_with_parent
child = subprocess.Popen(["sleep", "60"], preexec_fn=die_with_parent if sys.argv[1] == "bound" else None)
print(child.pid, flush=True)
time.sleep(60)
"""


def runs(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")


def orphan(kind):
    """A child whose parent was killed."""
    with subprocess.Popen([sys.executable, "-c", PARENT, kind], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert runs(child)
        parent.kill()
    return child


def test_a_child_that_is_bound_to_its_parent_dies_with_it():
    child = orphan("bound")
    deadline = time.monotonic() + 10.0
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(child)


def test_a_child_that_is_not_bound_lives_on():
    child = orphan("free")
    try:
        time.sleep(0.2)
        assert runs(child)
    finally:
        os.kill(child, signal.SIGKILL)
