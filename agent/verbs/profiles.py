"""List the meters that flatwatt knows, show the register map of one, or check a profile of your own.

    flatwatt profiles                      every profile
    flatwatt profiles list schneider       those whose name, maker or model has this word
    flatwatt profiles show abb_b23         its registers, limits, serial settings and sources, and what it leaves out
    flatwatt profiles check my_meter.toml  every mistake in a profile, with its line; exit code 2

A profile is a TOML file with zero-based wire addresses; docs/adding-a-meter.md explains it. FC is
the function code of a register: 3 holding, 4 input. It has 2 sources where two independent ones
agree on it, else 1. A note of `check` is a question and no mistake: with notes alone the exit code
is 0.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.records import MeterProfile, Register

HELP = "list, show and check meter profiles"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("action", nargs="?", choices=("list", "show", "check"), default="list", help="what to do")
    parser.add_argument("what", nargs="?", metavar="WHAT", help="list: a word; show: a name or a path; check: a path")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(args: argparse.Namespace) -> int:
    """List, show or check."""
    from agent.errors import InputError

    if args.action == "list":
        return _list(args.what or "", args.json)
    if args.what is None:
        wanted = "the name of a profile or the path of one" if args.action == "show" else "the path of a profile"
        raise InputError(f"`flatwatt profiles {args.action}` needs {wanted}")
    return _show(args.what, args.json) if args.action == "show" else _check(Path(args.what), args.json)


def _list(word: str, as_json: bool) -> int:
    from agent.acquire.profiles.profile import find_profile, profile_names
    from agent.errors import InputError
    from agent.terminal import counted, say, say_json, table

    briefs = [_brief(find_profile(name)) for name in profile_names()]
    found = [brief for brief in briefs if word.lower() in f"{brief['name']} {brief['maker']} {brief['model']}".lower()]
    if not found:
        raise InputError(f'no profile has "{word}" in its name, maker or model; `flatwatt profiles` lists all')
    if as_json:
        say_json(found)
        return 0
    columns = ("profile", "meter", "phases", "values", "by 2 sources")
    table(columns, [_line(brief) for brief in found])
    makers = len({brief["maker"] for brief in found})
    say(f"{counted(len(found), 'profile', 'profiles')} of {counted(makers, 'maker', 'makers')}")
    return 0


def _brief(profile: "MeterProfile") -> dict[str, Any]:
    verified = Counter(register.verified for register in profile.registers if not register.parameter)
    return {
        "name": profile.name,
        "maker": profile.maker,
        "model": profile.model,
        "phases": profile.phases,
        "quantities": list(profile.quantities),
        "verified": dict(sorted(verified.items(), reverse=True)),
    }


def _line(brief: dict[str, Any]) -> tuple[object, ...]:
    meter, sourced = f"{brief['maker']} {brief['model']}", brief["verified"].get("2 sources", 0)
    return brief["name"], meter, brief["phases"], len(brief["quantities"]), sourced


def _show(name: str, as_json: bool) -> int:
    from dataclasses import asdict

    from agent.acquire.profiles.profile import find_profile
    from agent.terminal import counted, say, say_json, table

    profile = find_profile(name)
    if as_json:
        say_json(asdict(profile))
        return 0
    say(f"{profile.maker} {profile.model}, {counted(profile.phases, 'phase', 'phases')}, digest {profile.digest}")
    for line in (*_limits(profile), *_setting(profile), *_identity(profile), *_absence(profile)):
        say(line)
    say()
    columns = ("name", "FC", "address", "type", "order", "scale", "tier", "sources", "with")
    rows = [_row(register) for register in profile.registers]
    shown = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    table(columns[:shown], [row[:shown] for row in rows])
    say()
    for text in profile.left_out:
        say(f"left out: {text}")
    for source in profile.sources:
        say(f"source: {source}")
    return 0


def _row(register: "Register") -> tuple[object, ...]:
    wire = (register.function, f"{register.address:#06x}", register.dtype, register.order, register.scale)
    return register.name, *wire, str(register.tier), int(register.verified[0]), _with(register)


def _with(register: "Register") -> str:
    """Give what else a value is made of, as one would write it, or that it is but a part of others."""
    words = ["(a parameter)"] if register.parameter else []
    words += [f"x {name}" for name in register.multiply_by]
    words += [f"x 10^{register.exponent_from}"] if register.exponent_from else []
    words += [f"+ {name}" for name in register.plus] + [f"- {name}" for name in register.minus]
    return " ".join(words)


def _limits(profile: "MeterProfile") -> list[str]:
    unlisted = "unlisted ones in between where that is faster, since no source says which are refused"
    if profile.max_gap is not None:
        unlisted = f"at most {profile.max_gap} unlisted ones in a row" if profile.max_gap else "none that is unlisted"
    lines = [f"a request: at most {profile.max_registers} registers, {unlisted}"]
    if profile.even_blocks:
        lines.append("a request: start and length are even")
    if profile.single:
        lines.append(f"read alone: {', '.join(profile.single)}")
    if profile.forbidden:
        lines.append(f"never read: {', '.join(f'{first:#06x} to {last:#06x}' for first, last in profile.forbidden)}")
    if profile.min_gap_ms:
        lines.append(f"silence before a request: {profile.min_gap_ms:g} ms")
    if profile.min_timeout_ms:
        lines.append(f"its replies may take {profile.min_timeout_ms:g} ms to begin")
    return lines


def _setting(profile: "MeterProfile") -> list[str]:
    if not profile.baud:
        return []
    return [
        f"factory setting: {profile.baud} baud, parity {profile.parity or '?'}, {profile.stopbits or '?'} stop bits"
    ]


def _identity(profile: "MeterProfile") -> list[str]:
    known = [f"{name} = {' or '.join(f'{v:.16g}' for v in values)}" for name, values in profile.identity.items()]
    lines = [f"known by: {', '.join(known)}"] if known else []
    if profile.sunspec:
        models = ", ".join(map(str, profile.sunspec))
        lines.append(
            f"SunSpec model {models}: an address counts from the first register of the model, wherever it begins"
        )
    return lines


def _absence(profile: "MeterProfile") -> list[str]:
    marks = {f"{pattern:#x} ({r.dtype})": None for r in profile.registers for pattern in r.absent}
    return [f"not available is told by: {', '.join(marks)}"] if marks else []


def _check(path: Path, as_json: bool) -> int:
    from agent.acquire.profiles.notes import profile_notes
    from agent.acquire.profiles.profile import checked_profile
    from agent.errors import InputError
    from agent.terminal import complaints, say, say_json
    from agent.toml_source import read_toml

    try:
        source = read_toml(path)
        profile = checked_profile(path, source)
    except InputError as error:
        if not as_json:
            raise
        say_json(complaints(error))
        return 2
    notes = profile_notes(profile, source)
    if as_json:
        told = [{"file": note.file, "line": note.line, "key": note.key, "text": note.text} for note in notes]
        say_json({"ok": True, "complaints": [], "notes": told, "digest": profile.digest, **_brief(profile)})
        return 0
    for note in notes:
        say(f"{note.file}:{note.line}: note: {note.key}: {note.text}")
    say(f"{path}: OK, {profile.maker} {profile.model}, {len(profile.quantities)} quantities")
    return 0
