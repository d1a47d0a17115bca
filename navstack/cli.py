"""The program `navstack`: finds a command, parses its arguments, runs it, and ends well whatever happens."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from navstack import __version__, plugins
from navstack.errors import WRONG_INPUT, InputError


class Terminated(SystemExit):
    """SIGTERM came. As a SystemExit it unwinds quietly through whatever is running."""


def main() -> int:
    """Run the program with the arguments of the process; its exit status."""
    signals = _handle_signals()
    name = " ".join(("navstack", *(argument for argument in sys.argv[1:2] if not argument.startswith("-"))))
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
        return status
    except InputError as error:
        return _say(f"navstack: error: {' '.join(str(error).splitlines())}", WRONG_INPUT)
    except Terminated:
        return _stopped(f"{name}: terminated", 128 + signal.SIGTERM)
    except KeyboardInterrupt:
        return _stopped(f"{name}: interrupted", 128 + signal.SIGINT)
    except ImportError:
        if signal.SIGINT in signals:  # extension modules turn an interruption of their import into this
            return _stopped(f"{name}: interrupted", 128 + signal.SIGINT)
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            # Python flushes its streams once more at exit, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" ({error.filename})" if error.filename else ""
            return _say(
                f"navstack: error: the disk is full{where}; free some space and try again", WRONG_INPUT
            )
        raise


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the command's exit status.

    Raises InputError for what the user got wrong, and SystemExit for --help and arguments that do not parse.
    """
    if not arguments:
        print(help_text(), file=sys.stderr)
        return WRONG_INPUT
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(help_text())
        return 0
    if name in ("-V", "--version"):
        print(f"navstack {__version__}")
        return 0
    entry = plugins.choose(plugins.COMMANDS, name, "command")
    command = plugins.load(entry)
    with plugins.naming_extras(entry):
        import tyro

        default_for = getattr(command, "default_for", None)  # options from a file
        default = None if default_for is None else default_for(rest)
        options = {} if default is None else {"default": default}
        return int(tyro.cli(command, prog=f"navstack {name}", args=rest, **options)())


def help_text() -> str:
    """The commands with one line each, grouped by what must be installed for them."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, entry in plugins.find(plugins.COMMANDS).items():
        groups.setdefault(tuple(entry.extras), []).append(f"  {name:<10} {plugins.summary(entry)}".rstrip())
    lines = [
        "usage: navstack COMMAND [ARGUMENTS]",
        "",
        "Camera-only drone navigation with tiny liquid networks.",
    ]
    for extras, rows in sorted(groups.items(), key=lambda group: (len(group[0]), group[0])):
        title = f"commands with navstack[{','.join(extras)}]" if extras else "commands"
        lines += ["", f"{title}:", *rows]
    lines += ["", "navstack COMMAND --help tells a command's arguments; navstack --version the version."]
    return "\n".join(lines)


def _handle_signals() -> set[int]:
    """SIGTERM unwinds like Ctrl-C; children made by fork end at once, as their parents expect of them.

    Returns the numbers of the signals that came, as they come.
    """
    seen: set[int] = set()

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        seen.add(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the shell had it ignored
        signal.signal(signal.SIGINT, stop)
    os.register_at_fork(after_in_child=_default_signals)
    return seen


def _default_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _stopped(sentence: str, status: int) -> int:
    """Say why, and let a second signal end the process without a traceback."""
    _default_signals()
    return _say(sentence, status)


def _say(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


def _reader_is_gone() -> bool:
    """Whether whoever read our output has left; a broken pipe to anybody else is an error like others."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))
