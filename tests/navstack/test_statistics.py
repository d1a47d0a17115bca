"""Intervals agree with published examples and with what defines them, and cover what they promise."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.statistics import mcnemar, paired_difference, wilson_interval

Z = 1.959963984540054
counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
flights = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


# -- Wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_newcombes_table(successes: int, trials: int, low: float, high: float) -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17, 1998, table I
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(counts)
def test_wilsons_bounds_solve_the_score_equation(count: tuple[int, int]) -> None:
    successes, trials = count
    for bound in wilson_interval(successes, trials):
        distance = abs(successes / trials - bound)
        assert distance == pytest.approx(Z * math.sqrt(bound * (1 - bound) / trials), abs=1e-7)


@given(counts)
def test_wilson_is_symmetric_and_inside_zero_to_one(count: tuple[int, int]) -> None:
    successes, trials = count
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert (1 - high, 1 - low) == pytest.approx(wilson_interval(trials - successes, trials), abs=1e-12)


def test_more_confidence_is_a_wider_interval() -> None:
    widths = [high - low for low, high in (wilson_interval(97, 100, c) for c in (0.8, 0.9, 0.95, 0.99))]
    assert widths == sorted(widths)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_counts_that_cannot_be_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="is not a count"):
        wilson_interval(successes, trials)


# -- paired difference


@pytest.mark.parametrize(
    ("table", "difference", "low", "high"),
    [
        # Altman et al., "Statistics with Confidence", 2000, table 6.2
        ((14, 5, 0, 22), 0.122, 0.011, 0.226),
        # Newcombe, "Improved confidence intervals [...] paired data", 1998, method 10
        ((36, 12, 2, 0), 0.2, 0.0569, 0.3404),
        # Fagerland, Lydersen and Laake, Stat. Med. 33, 2014: airway hyper-responsiveness
        ((1, 7, 1, 12), 0.286, 0.026, 0.507),
    ],
)
def test_paired_difference_agrees_with_published_examples(
    table: tuple[int, int, int, int], difference: float, low: float, high: float
) -> None:
    found = paired_difference(*reversed(outcomes(*table)))
    digits = 5e-5 if low == 0.0569 else 5e-4
    assert (found.difference, found.low, found.high) == pytest.approx((difference, low, high), abs=digits)


@given(flights)
def test_exchanging_the_two_sides_mirrors_the_interval(pairs: list[tuple[bool, bool]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.difference == pytest.approx(-back.difference, abs=1e-12)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert (there.only_a, there.only_b) == (back.only_b, back.only_a)


@given(flights)
def test_the_interval_holds_the_difference_inside_minus_one_to_one(pairs: list[tuple[bool, bool]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = paired_difference(a, b)
    assert found.difference == pytest.approx(np.mean(b) - np.mean(a))
    assert -1 <= found.low <= found.difference <= found.high <= 1


@pytest.mark.parametrize(
    "chances", [(0.9, 0.05, 0.02, 0.03), (0.5, 0.2, 0.1, 0.2), (0.3, 0.1, 0.5, 0.1), (0.95, 0.02, 0.02, 0.01)]
)
def test_the_interval_covers_the_truth_nearly_as_often_as_it_says(
    chances: tuple[float, float, float, float],
) -> None:
    n, truth, covered = 24, chances[2] - chances[1], 0.0
    for both, only_a, only_b in product(range(n + 1), repeat=3):
        neither = n - both - only_a - only_b
        if neither < 0:
            continue
        table = (both, only_a, only_b, neither)
        found = paired_difference(*outcomes(*table))
        if found.low <= truth <= found.high:
            ways = math.factorial(n) // math.prod(map(math.factorial, table))
            covered += ways * math.prod(p**k for p, k in zip(chances, table, strict=True))
    assert covered > 0.93


def test_numpy_outcomes_give_plain_numbers() -> None:
    found = paired_difference(np.array([True, False, True]), np.array([True, True, True]))  # type: ignore[arg-type]
    assert json.loads(json.dumps(asdict(found)))["only_b"] == 1


@pytest.mark.parametrize(("a", "b"), [([], []), ([True], [True, False]), ([True, False], [True])])
def test_lists_that_do_not_pair_are_refused(a: list[bool], b: list[bool]) -> None:
    with pytest.raises(ValueError, match="two lists of the same length"):
        paired_difference(a, b)
    with pytest.raises(ValueError, match="two lists of the same length"):
        mcnemar(a, b)


# -- McNemar


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 5))
def test_mcnemar_counts_the_coin_tosses_at_least_as_uneven(only_a: int, only_b: int, both: int) -> None:
    n = only_a + only_b
    ways = sum(math.comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(only_a - only_b))
    a, b = outcomes(both + 1, only_a, only_b, 3)
    assert mcnemar(a, b) == pytest.approx(ways / 2**n)


def test_mcnemar_takes_thousands_of_flights() -> None:
    assert mcnemar(*outcomes(0, 2000, 2000, 0)) == 1.0
    assert mcnemar(*outcomes(0, 4000, 0, 0)) == pytest.approx(0.0)
    assert mcnemar(*outcomes(5, 0, 0, 5)) == 1.0
