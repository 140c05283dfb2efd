"""Order something of a gateway, and show its reply.

    flatwatt command campus-01 diagnose --key operator.key
    flatwatt command campus-01 capture meter=main seconds=300 --key operator.key --save main.csv
    flatwatt command campus-01 set_interval window_s=300 --key operator.key

The commands are resend, set_interval, reload, rotate, diagnose and capture; docs/commands.md says what each
takes. A command is signed with the operator's key (`flatwatt keys operator FILE` makes one), and waits at the
broker for a gateway that is away, until it expires. Exit code 0: the gateway did it; 1: it failed, was refused,
or nothing was heard of it.
"""

import argparse
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import FlatwattError, InputError
from agent.terminal import say, say_json, table
from collector import broker_options

if TYPE_CHECKING:
    from agent.deliver import wire
    from collector.operator.line import Answers

HELP = "order something of a gateway: diagnose, capture, resend, ..."

_LONGEST_WAIT_S = 86_400  # a command that waits for longer is looked for at the collector
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("gateway", metavar="GATEWAY", help="its id")
    parser.add_argument("command", metavar="COMMAND", help="what it is to do")
    parser.add_argument("arguments", metavar="NAME=VALUE", nargs="*", help="with what")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="the operator's private key")
    parser.add_argument("--expires", metavar="TIME", type=_seconds, default="1h", help="not to be done later: 90s, 6d")
    parser.add_argument(
        "--wait", metavar="S", type=_wait_s, default=30.0, help="how long to wait for the reply, once it is due"
    )
    parser.add_argument("--save", metavar="FILE", type=Path, help="write the samples of a capture: .csv or .csv.gz")
    parser.add_argument("--print", action="store_true", help="only write the signed message, for another machine")
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    broker_options.declare(parser)


def run(args: argparse.Namespace) -> int:
    """Sign, send, wait and show."""
    from agent.deliver.identity.keys import load_private_key
    from collector.operator.order import due_in_s, parse_arguments, signed

    arguments, now_s = parse_arguments(args.command, args.arguments), time.time()
    if args.save is not None and args.command != "capture":
        raise InputError("--save: only a capture brings samples")
    key = load_private_key(args.key)
    counter, message = signed(args.gateway, args.command, arguments, key, now_s=now_s, expires_after_s=args.expires)
    if args.print:
        say(message.decode())
        return 0
    return _tell(args, counter, _send(args, counter, message, due_in_s(arguments, now_s) + args.wait))


def _send(args: argparse.Namespace, counter: int, message: bytes, wait_s: float) -> "Answers":
    from collector.broker_access import BrokerAccess
    from collector.operator.line import converse

    broker_options.check(args)
    access = BrokerAccess(
        url=args.mqtt,
        client_id="",
        username=args.username,
        password=broker_options.password(args),
        ca_file=args.ca_file,
        cert_file=args.cert_file,
        key_file=args.tls_key_file,
    )
    return converse(access, args.gateway, counter, message, wait_s)


def _tell(args: argparse.Namespace, counter: int, answers: "Answers") -> int:
    from collector.operator.capture import is_whole, save

    replies = answers.replies
    if args.json:
        say_json({"counter": counter, "replies": [_plain(reply) for reply in replies]})
    elif replies:
        _show(replies[0])
    if not is_whole(replies):
        raise FlatwattError(_silence(args, answers))
    if replies[0].state != "done":
        return 1
    if args.save is not None:
        save(replies, args.save)
        if not args.json:
            say(f"written to {args.save}")
    return 0


def _show(reply: "wire.Reply") -> None:
    say(f"{reply.state}: {reply.text}")
    if reply.data:
        say()
        table(("what", "is"), [(name, "-" if value is None else str(value)) for name, value in reply.data.items()])


def _plain(reply: "wire.Reply") -> dict[str, Any]:
    return {name: getattr(reply, name) for name in reply.__struct_fields__}


def _silence(args: argparse.Namespace, answers: "Answers") -> str:
    """Say what may be the reason that nothing was heard."""
    status = answers.status
    if status is None:
        return f"no gateway {args.gateway} has ever spoken at this broker: is its id right?"
    if answers.replies:
        return "a part of the reply is missing; the collector has all of it once it has caught up"
    if status.state == "offline":
        return f"{args.gateway} is away; the command waits at the broker and expires {_in(args.expires)}"
    if status.clock in ("unknown", "relative"):
        return f"{args.gateway} does not know the time yet; it obeys as soon as it does"
    return (
        f"{args.gateway} is online, but has not replied: has it this operator's key ([commands] operator_key_file), "
        "and is its connection so slow that --wait must be longer?"
    )


def _in(seconds: int) -> str:
    return f"in {seconds} s" if seconds < 600 else f"in {seconds / 3600:.1f} h"


def _wait_s(text: str) -> float:
    """Read how long somebody is ready to wait.

    >>> _wait_s("0.5")
    0.5
    """
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= _LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(f"{text} is wrong, expected seconds, up to {_LONGEST_WAIT_S}")
    return wait_s


def _seconds(text: str) -> int:
    """Read a duration.

    >>> _seconds("90s"), _seconds("1h"), _seconds("6d")
    (90, 3600, 518400)
    """
    found = re.fullmatch(r"(\d{1,7})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; expected a number with s, m, h or d, such as 90s")
    return int(found[1]) * _UNITS_S[found[2]]
