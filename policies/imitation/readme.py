"""The README of a run's folder: what lies there, and how the policy is stepped without this package."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

from navstack.policies.imitation.card import success_rate
from navstack.policies.imitation.config import TrainConfig
from navstack.statistics import wilson_interval

_TEXT = """# A policy for {env}

Trained by `navstack train`: {network}, seed {seed}, round {round} of {rounds}; {successes} of {episodes}
flights in the dev worlds ({worlds}) won, {rate:.1f}% [{low:.1f}, {high:.1f}] (Wilson, 95%).
These worlds chose the round: what it does in others, `navstack evaluate` tells.

| path | what it is |
|---|---|
| `policy.onnx` | the policy; `navstack inspect policy.onnx` prints its card |
| `run.json` | the configuration; `navstack train --config run.json --out OTHER` runs it again |
| `metrics.jsonl`, `tensorboard/` | learning curves; `tensorboard --logdir tensorboard` |
| `episodes/` | the flights that were learned from |
| `rounds/` | checkpoint, policy and dev flights of every round |

## Without this package

```python
{code}```

No guard stands between these commands and the vehicle: `navstack fly` has one.
"""


def plain_code(file: str) -> str:
    """Lines of plain onnxruntime that load and step a policy file: those of the README of navstack.models."""
    text = (resources.files("navstack.models") / "README.md").read_text()
    found = re.search(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert found is not None
    return found[1].replace("fly-to-target.onnx", file)


def run_readme(config: TrainConfig, round_: int, dev: list[dict[str, Any]]) -> str:
    """The text, for the policy of this round with these dev rows."""
    successes, episodes = (sum(row[name] for row in dev) for name in ("successes", "episodes"))
    low, high = wilson_interval(successes, episodes)
    return _TEXT.format(
        env=config.collect.env, network=config.network, seed=config.seed, round=round_,
        rounds=config.rounds - 1, successes=successes, episodes=episodes,
        worlds=", ".join(row["world"] for row in dev), rate=100.0 * success_rate(dev),
        low=100.0 * low, high=100.0 * high, code=plain_code("policy.onnx"),
    )  # fmt: skip
