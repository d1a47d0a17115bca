#!/usr/bin/env python3
"""What `pip install navstack[mavlink]` takes on a companion computer: wheels, and megabytes.

usage: .venv/bin/python scripts/onboard_install.py [--python 3.11] [--installed]

Asks pip, and so the index that pip is set up with, for the wheels of every dependency on x86-64 and on
aarch64; fails where one has none. With --installed it also installs them into an empty folder here and
measures it: navstack and the rest should add under 20 MB to numpy, opencv, onnxruntime and pymavlink.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLATFORMS = {
    machine: [f"manylinux_2_{minor}_{machine}" for minor in (28, 27, 24, 17)] + [f"manylinux2014_{machine}"]
    for machine in ("x86_64", "aarch64")
}
BIG = ("numpy", "opencv-python", "onnxruntime", "pymavlink")
BUDGET = 20.0  # MB that we and the small packages may add
UNWANTED = {"torch", "pybullet", "gymnasium", "mcap", "zstandard", "lz4"}
EXTRA = "mavlink"


def requirements() -> list[str]:
    """Of the base and the extra, from pyproject.toml."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"][EXTRA]]


def wheels(machine: str, python: str) -> dict[str, str]:
    """Name to version of all that pip would install there; ends the program where one has no wheel."""
    platforms = [word for platform in PLATFORMS[machine] for word in ("--platform", platform)]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed",
            "--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms,
            "--target", folder, "--report", str(report), *requirements(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{machine}: {done.stderr.strip().splitlines()[-1]}")
        rows = json.loads(report.read_text())["install"]
    return {row["metadata"]["name"].lower(): row["metadata"]["version"] for row in rows}


def installed() -> dict[str, float]:
    """Megabytes on disk of the big packages with what they need, and of all, each in a new environment."""
    found = {}
    for what, packages in {"big": list(BIG), "all": [f"{ROOT}[{EXTRA}]"]}.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", folder]
            subprocess.run([*command, *packages], check=True, capture_output=True)
            found[what] = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()) / 1e6
    return found


def main() -> int:
    """Print what was found; 1 where it is not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default="3.11", help="version of Python there (default %(default)s)")
    parser.add_argument("--installed", action="store_true", help="install here and measure")
    given = parser.parse_args()
    held = True
    for machine in PLATFORMS:
        names = wheels(machine, given.python)
        unwanted = sorted(UNWANTED & names.keys())
        held &= not unwanted
        print(
            f"{machine}: wheels for all {len(names)} packages{f'; UNWANTED: {unwanted}' if unwanted else ''}"
        )
    if given.installed:
        sizes = installed()
        added = sizes["all"] - sizes["big"]
        held &= added < BUDGET
        print(f"numpy, opencv, onnxruntime, pymavlink: {sizes['big']:.0f} MB")
        print(f"navstack and the rest: {added:.1f} MB; budget {BUDGET:g} MB")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
