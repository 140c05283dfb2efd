"""The front door: ``flatwatt VERB``. The only place that prints errors and picks exit codes.

Exit codes: 0 done, 1 failed, 2 wrong input. With --json the complaints about a wrong input are JSON too.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from agent import __version__
from agent.errors import FlatwattError, InputError
from agent.terminal import complaints, say_compact

_DESCRIPTION = "How much of a facility's power goes into cryptocurrency mining, from the meters that are already there."


class Verb(Protocol):
    """What a module of the group ``flatwatt.verbs`` offers."""

    HELP: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and give the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    verbs = {point.name: point for point in entry_points(group="flatwatt.verbs")}
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser = _parser({chosen: verbs[chosen]} if chosen in verbs else verbs)
    args = parser.parse_args(words)
    try:
        return cast(Callable[[argparse.Namespace], int], args.run)(args)
    except InputError as error:
        if getattr(args, "json", False):
            say_compact(complaints(error))
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except FlatwattError as error:
        print(f"flatwatt {args.verb}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:  # the reader of our output went away: `flatwatt replay … | head`
        sys.stderr.close()
        return 1


def _parser(verbs: dict[str, EntryPoint]) -> argparse.ArgumentParser:
    """Build the parser for these verbs only: importing a verb's module is what costs time."""
    parser = argparse.ArgumentParser(prog="flatwatt", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"flatwatt {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, point in sorted(verbs.items()):
        verb = cast(Verb, point.load())
        command = commands.add_parser(name, help=verb.HELP, description=verb.__doc__, formatter_class=_Formatter)
        verb.configure(command)
        command.set_defaults(run=verb.run)
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keep the verb's own paragraphs and show each default that is worth a word."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, math.inf, argparse.SUPPRESS):
            return action.help
        return f"{action.help} (default: %(default)s)"


if __name__ == "__main__":
    sys.exit(main())
