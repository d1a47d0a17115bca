"""The errors that commands answer with one sentence."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

WRONG_INPUT = 2  # exit status, as argparse's and tyro's


class InputError(ValueError):
    """Something the user gave is wrong: the message names what, where, and what would be right."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the choice nearest to the word, or an empty string when none is near."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean '{found[0]}'?" if found else ""


def exit_status(main: Callable[[], int]) -> int:
    """A script's exit status: what the user got wrong becomes one sentence, and `WRONG_INPUT`."""
    try:
        return main()
    except InputError as error:
        print(f"{Path(sys.argv[0]).name}: error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return WRONG_INPUT
