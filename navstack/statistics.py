"""Intervals for success rates and for their paired differences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson, JASA 22, 1927), as (low, high).

    Raises ValueError unless 0 <= successes <= trials and trials >= 1.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is not a count")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    p, zz = successes / trials, z * z / trials
    middle = (p + zz / 2.0) / (1.0 + zz)
    half = z / (1.0 + zz) * math.sqrt(p * (1.0 - p) / trials + zz / (4.0 * trials))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Success of b less success of a over the same flights, with its interval."""

    difference: float
    low: float
    high: float
    only_a: int  # flights that only a won
    only_b: int  # flights that only b won
    trials: int


def paired_difference(a: Sequence[bool], b: Sequence[bool], confidence: float = 0.95) -> PairedDifference:
    """Newcombe's score interval for a difference of paired proportions.

    Method 10 of Newcombe, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17, 1998. Raises ValueError for lists that are empty or of
    different lengths.
    """
    both, only_a, only_b, neither = _table(a, b)
    n = both + only_a + only_b + neither
    p_b, p_a = (both + only_b) / n, (both + only_a) / n
    low_b, high_b = wilson_interval(both + only_b, n, confidence)
    low_a, high_a = wilson_interval(both + only_a, n, confidence)
    phi = _phi(both, only_b, only_a, neither)
    difference = p_b - p_a
    down_b, up_b, down_a, up_a = p_b - low_b, high_b - p_b, p_a - low_a, high_a - p_a
    low = difference - math.sqrt(max(0.0, down_b**2 - 2.0 * phi * down_b * up_a + up_a**2))
    high = difference + math.sqrt(max(0.0, up_b**2 - 2.0 * phi * up_b * down_a + down_a**2))
    return PairedDifference(difference, max(-1.0, low), min(1.0, high), only_a, only_b, n)


def _phi(e: int, f: int, g: int, h: int) -> float:
    """Correlation of the 2 x 2 table, with Newcombe's continuity correction where it is positive."""
    margin = (e + f) * (g + h) * (e + g) * (f + h)
    if margin == 0:
        return 0.0
    product = float(e * h - f * g)
    if product > 0:
        product = max(0.0, product - (e + f + g + h) / 2.0)
    return product / math.sqrt(margin)


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> float:
    """Two-sided p of McNemar's exact test (Psychometrika 12, 1947): a alone wins as often as b alone.

    Raises ValueError for lists that are empty or of different lengths.
    """
    _, only_a, only_b, _ = _table(a, b)
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / (1 << n))


def _table(a: Sequence[bool], b: Sequence[bool]) -> tuple[int, int, int, int]:
    """Flights that both won, only a, only b, neither."""
    if len(a) == 0 or len(a) != len(b):
        raise ValueError(f"paired outcomes must be two lists of the same length; found {len(a)} and {len(b)}")
    pairs = Counter((bool(x), bool(y)) for x, y in zip(a, b, strict=True))
    return pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False]
