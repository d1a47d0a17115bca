"""Another way to step the same network, timed in a process of its own: `python -m navstack.bench.references`.

`onnxruntime` is ONNX Runtime with its default settings; others are entry points of the group
`navstack.references`, each called with a policy's name and returning a step: image, dt to nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort

from navstack import plugins
from navstack.contract import Image
from navstack.policy import read_policy

REFERENCES = "navstack.references"
WARM_UP = 50
Step = Callable[[Image, float], object]


def onnxruntime_default(policy: str) -> Step:
    """The policy's file in a session as ONNX Runtime makes it by itself: all threads, spinning."""
    file = read_policy(policy)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(file.data, options, providers=["CPUExecutionProvider"])
    state = [np.zeros((1, file.card.state_size), np.float32)]

    def step(image: Image, dt: float) -> None:
        feed = {"image": image[None], "dt": np.full((1, 1), dt, np.float32), "state": state[0]}
        _, state[0] = session.run(("command", "next_state"), feed)

    return step


def time_steps(step: Step, image: Image, steps: int, period: float) -> dict[str, Any]:
    """Seconds of each step, back to back or one a period, and the processor time as a share of the wall's."""
    for _ in range(WARM_UP):
        step(image, 0.05)
    seconds, wall, processor = [], time.perf_counter(), time.process_time()
    due = wall
    for _ in range(steps):
        if period:
            due += period
            time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        step(image, 0.05)
        seconds.append(time.perf_counter() - began)
    share = (time.process_time() - processor) / (time.perf_counter() - wall)
    return {"seconds": seconds, "processor": share}


def main() -> int:
    """Time one reference and print JSON: name, policy, steps and period (s) are the arguments."""
    name, policy, steps, period = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    made = (
        onnxruntime_default if name == "onnxruntime" else plugins.load(plugins.choose(REFERENCES, name, name))
    )
    camera = read_policy(policy).card.camera
    image = np.random.default_rng(0).integers(0, 256, (camera.height, camera.width, 3), np.uint8)
    print(json.dumps(time_steps(made(policy), image, steps, period)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
