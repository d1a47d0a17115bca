"""The ten lines of the models' README load and step a policy, and find what this package finds."""

import ast
import re
import shutil
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest

from navstack.policy import OnnxPolicy

MODELS = resources.files("navstack.models")
CODE = re.findall(r"^```python\n(.*?)^```", (MODELS / "README.md").read_text(), re.M | re.S)


def test_plain_onnxruntime_steps_a_policy_in_ten_lines(tmp_path):
    (code,) = CODE
    assert len(code.splitlines()) == 10
    imported = {
        alias.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported == {"json", "numpy", "onnxruntime"}
    with resources.as_file(MODELS / "fly-to-target.onnx") as path:
        shutil.copy(path, tmp_path)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = ast.literal_eval(done.stdout)
    policy = OnnxPolicy.load("fly-to-target")
    for _ in range(20):
        command = policy.step(np.zeros((64, 96, 3), np.uint8), 0.05)
    assert list(found) == ["forward", "left", "up", "yaw_rate"]
    assert list(found.values()) == pytest.approx(command.as_array().tolist(), abs=1e-6)
