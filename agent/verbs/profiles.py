"""List the meters that flatwatt knows, show the register map of one, or check a profile of your own.

    flatwatt profiles                      every profile
    flatwatt profiles show abb_b23         its registers, how well each is verified, and the sources
    flatwatt profiles check my_meter.toml  every mistake in a profile, with its line; exit code 2

A profile is a TOML file with zero-based wire addresses; docs/adding-a-meter.md explains it. A
register is "2 sources" where two independent sources agree on it, else "1 source".
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.records import MeterProfile

HELP = "list, show and check meter profiles"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("action", nargs="?", choices=("list", "show", "check"), default="list", help="what to do")
    parser.add_argument("what", nargs="?", metavar="PROFILE", help="show: a name or a path; check: a path")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(args: argparse.Namespace) -> int:
    """List, show or check."""
    from agent.errors import InputError

    if args.action == "list":
        return _list(args.json)
    if args.what is None:
        wanted = "the name of a profile or the path of one" if args.action == "show" else "the path of a profile"
        raise InputError(f"`flatwatt profiles {args.action}` needs {wanted}")
    return _show(args.what, args.json) if args.action == "show" else _check(Path(args.what), args.json)


def _list(as_json: bool) -> int:
    from agent.acquire.profile import find_profile, profile_names
    from agent.terminal import say_json, table

    profiles = [_brief(find_profile(name)) for name in profile_names()]
    if as_json:
        say_json(profiles)
        return 0
    table(
        ("name", "maker", "model", "phases", "quantities", "verified"),
        [
            (p["name"], p["maker"], p["model"], p["phases"], len(p["quantities"]), _levels(p["verified"]))
            for p in profiles
        ],
    )
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


def _levels(verified: dict[str, int]) -> str:
    return ", ".join(f"{count} by {level}" for level, count in verified.items())


def _show(name: str, as_json: bool) -> int:
    from dataclasses import asdict

    from agent.acquire.profile import find_profile
    from agent.terminal import say, say_json, table

    profile = find_profile(name)
    if as_json:
        say_json(asdict(profile))
        return 0
    say(f"{profile.maker} {profile.model}, {profile.phases} phases, digest {profile.digest}")
    gap = "any number of" if profile.max_gap is None else profile.max_gap
    say(f"at most {profile.max_registers} registers a request, across {gap} unlisted ones")
    if profile.baud:
        say(f"factory setting {profile.baud} baud, parity {profile.parity or '?'}, {profile.stopbits or '?'} stop bits")
    say()
    table(
        ("name", "function", "address", "type", "order", "scale", "tier", "verified"),
        [
            (r.name, r.function, f"{r.address:#06x}", r.dtype, r.order, r.scale, str(r.tier), r.verified)
            for r in profile.registers
        ],
    )
    say()
    for source in profile.sources:
        say(f"source: {source}")
    return 0


def _check(path: Path, as_json: bool) -> int:
    from agent.acquire.profile import load_profile
    from agent.errors import InputError
    from agent.terminal import complaints, say, say_json

    try:
        profile = load_profile(path)
    except InputError as error:
        if not as_json:
            raise
        say_json(complaints(error))
        return 2
    if as_json:
        say_json({"ok": True, "complaints": [], "digest": profile.digest, **_brief(profile)})
    else:
        say(f"{path}: OK, {profile.maker} {profile.model}, {len(profile.quantities)} quantities")
    return 0
