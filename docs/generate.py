"""Write the generated pages of this folder from the code that they describe: ``make docs``."""

import argparse
import math
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from agent.analyse.features import of_days, of_ticks
from agent.analyse.features.feature import Feature
from agent.quantities import QUANTITIES, Quantity

HERE = Path(__file__).parent
_NOTE = "<!-- Written by `make docs` from {source}; change that, not this. -->"


def data_dictionary() -> str:
    """Give the page with every quantity of the vocabulary."""
    return "\n".join(
        [
            "# Data dictionary",
            "",
            _NOTE.format(source="agent/quantities.py"),
            "",
            "Every measurand that flatwatt knows, by the one name that meter profiles, samples, windows, topics, the",
            "store, the page and the reports use. A name ends in its unit. Import from the grid is positive, inductive",
            "reactive power is positive. A value outside its range is a fault, not a load. A counter only grows, until",
            "it rolls over or is reset. What was not measured is absent or NaN, never zero.",
            "",
            "| quantity | unit | meaning | plausible range | |",
            "|---|---|---|---|---|",
            *map(_quantity_row, QUANTITIES.values()),
            "",
        ]
    )


def _quantity_row(quantity: Quantity) -> str:
    counter = "counter" if quantity.counter else ""
    plausible = f"{quantity.low:g} to {quantity.high:g}".replace("e+0", "e").replace("e+", "e")
    return f"| `{quantity.name}` | {quantity.unit} | {quantity.text} | {plausible} | {counter} |"


def features() -> str:
    """Give the page with every feature of the analysis."""
    lines = [
        "# Features",
        "",
        _NOTE.format(source="agent/analyse/features/of_days.py and of_ticks.py"),
        "",
        "Numbers that describe a load, computed for all meters of a gateway at once. `flatwatt replay FILE --json",
        "--features` writes them for every meter and day: those of days over the 56 days that end with it, those of",
        "polls over the day itself. A feature that cannot be known is null, never zero: with under five known days,",
        "for a feeder that gives more than it takes, and where what it needs was not measured. A day counts where 18",
        "of its hours are known. The power of a meter with sub-meters is what these do not see. Ranges are those of",
        "a load that only takes. Formula, rule for gaps, source and what is usual for offices and farms stand with",
        "each function in `agent/analyse/features/`; each is tested against a slow one.",
        "",
        "No feature tells a farm by itself: what the judgement uses of them, and what that finds, is in",
        "[detection](detection.md).",
    ]
    tables: list[tuple[str, Mapping[str, Feature[Any]]]] = [*of_days.TABLES.items(), *of_ticks.TABLES.items()]
    for title, table in tables:
        rows = [_feature_row(name, feature) for name, feature in table.items()]
        lines += [
            "",
            f"## {title}",
            "",
            "| feature | unit | range | meaning | source |",
            "|---|---|---|---|---|",
            *rows,
        ]
    return "\n".join([*lines, ""])


def _feature_row(name: str, feature: Feature[Any]) -> str:
    unit, low, high = feature.range
    bounds = f"{low:.4g} to {high:.4g}" if math.isfinite(high) else "any" if math.isinf(low) else f"from {low:.4g}"
    return f"| `{name}` | {unit} | {bounds} | {_in_cell(feature.text)} | {feature.source} |"


def command_line() -> str:
    """Give the page with every verb and option of the program."""
    lines = [
        "# Command line",
        "",
        _NOTE.format(source="the verbs' own help"),
        "",
        "One program, `flatwatt VERB`. Exit code 0: done; 1: failed, with one line that says why; 2: wrong input,",
        "with every mistake located. Each verb explains itself with `--help`.",
    ]
    for name, parser in verbs().items():
        lines += _parser_section(f"flatwatt {name}", parser)
    return "\n".join([*lines, ""])


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Give the parser of each installed verb, in the order of the alphabet."""
    parsers = {}
    for point in sorted(entry_points(group="flatwatt.verbs"), key=lambda point: point.name):
        verb = point.load()
        parsers[point.name] = argparse.ArgumentParser(f"flatwatt {point.name}", description=verb.__doc__)
        verb.configure(parsers[point.name])
    return parsers


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Give the arguments and options of one parser, without ``--help`` and nested verbs."""
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    return [action for action in parser._actions if not isinstance(action, hidden)]


def nested(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Give the verbs within a verb."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _parser_section(name: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = ["", f"## {name}", "", "```text", (parser.description or "").strip(), "```"]
    rows = [_action_row(action) for action in actions(parser)]
    if rows:
        lines += ["", "| argument | default | meaning |", "|---|---|---|", *rows]
    for inner, inner_parser in nested(parser):
        lines += _parser_section(f"{name} {inner}", inner_parser)
    return lines


def _action_row(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    choices = f": one of {', '.join(map(str, action.choices))}" if action.choices else ""
    takes_value = action.nargs != 0
    spelt = ", ".join(action.option_strings) + (f" {value}" if takes_value else "") if action.option_strings else value
    default = "" if action.default in (None, False, math.inf, argparse.SUPPRESS) else f"`{action.default}`"
    meaning = (action.help or "") % {**vars(action), "prog": "flatwatt"}
    return f"| `{spelt}` | {default} | {_in_cell(meaning + choices)} |"


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page())


PAGES = {"data-dictionary.md": data_dictionary, "features.md": features, "command-line.md": command_line}

if __name__ == "__main__":
    main()
