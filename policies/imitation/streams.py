"""Random streams by name: what is drawn depends on (seed, purpose, key) and never on what was drawn before.

So a restart needs to restore nothing, and flights may be flown in any order by any number of processes.
"""

from __future__ import annotations

import numpy as np

WEIGHTS, COLLECT, DEV, BATCH = range(4)
"""Purposes: two streams with different ones share nothing."""


def generator(seed: int, purpose: int, *key: int) -> np.random.Generator:
    """The random numbers of (seed, purpose, key)."""
    return np.random.default_rng(np.random.SeedSequence([seed, purpose, *key, 0]))


def integer(seed: int, purpose: int, *key: int) -> int:
    """A seed in [0, 2^31) for another library, from (seed, purpose, key)."""
    return int(np.random.SeedSequence([seed, purpose, *key, 1]).generate_state(1)[0] >> 1)
