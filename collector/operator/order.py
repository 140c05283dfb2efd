"""Makes and signs commands. The operator's key is read here and nowhere else; it never leaves its machine."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from agent.deliver import chain, wire
from agent.deliver.command_table import COMMANDS, Value, check_order
from agent.errors import EvidenceError, InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

LATEST_S = 6 * 86_400  # a gateway refuses more than seven days ahead of its own clock, which may be behind
_TOLERANCE_S = 60  # so much may the gateway's clock be behind ours
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d{1,15})?")  # 16 digits: up to 2^53
_GATEWAY = re.compile(r"[a-z0-9-]{1,32}")


def parse_arguments(command: str, words: Sequence[str]) -> dict[str, Value]:
    """Read ``name=value`` words and hold them against the list of commands.

    >>> parse_arguments("capture", ["meter=main", "seconds=60"])
    {'meter': 'main', 'seconds': 60}
    """
    if command not in COMMANDS:
        raise InputError(f"{command!r} is no command; known are {', '.join(COMMANDS)}")
    names = {argument.name for argument in COMMANDS[command] if argument.kind == "name"}
    arguments: dict[str, Value] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r}: expected NAME=VALUE, as in seconds=60")
        arguments[name] = value if name in names else _value(value)
    try:
        check_order(command, arguments)
    except EvidenceError as error:
        raise InputError(str(error)) from None
    return arguments


def _value(text: str) -> Value:
    """Give a number where the text is one.

    >>> _value("60"), _value("0.5"), _value("main")
    (60, 0.5, 'main')
    """
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def due_in_s(arguments: Mapping[str, Value], now_s: float) -> float:
    """Give how long it takes until a command can be done: a capture needs its samples.

    >>> due_in_s({}, 1000.0), due_in_s({"seconds": 60}, 1000.0), due_in_s({"seconds": 60, "from_s": 1100}, 1000.0)
    (0.0, 60.0, 160.0)
    """
    return max(0.0, float(arguments.get("from_s", now_s)) + float(arguments.get("seconds", 0)) - now_s)


def signed(
    gateway: str,
    command: str,
    arguments: Mapping[str, Value],
    key: "ec.EllipticCurvePrivateKey",
    *,
    now_s: float,
    expires_after_s: int,
) -> tuple[int, bytes]:
    """Give the counter and the message. The counter is the time in milliseconds: it grows without being kept."""
    if not _GATEWAY.fullmatch(gateway):
        raise InputError(f"{gateway!r} is no gateway; expected its id, [a-z0-9-]{{1,32}}")
    if not 0 < expires_after_s <= LATEST_S:
        raise InputError(f"--expires: {expires_after_s} s is wrong, expected up to {LATEST_S // 86_400} days")
    body = wire.CommandBody(
        gateway=gateway,
        counter=int(now_s * 1000),
        command=command,
        arguments=dict(arguments),
        not_before_s=int(now_s) - _TOLERANCE_S,
        expires_s=int(now_s) + expires_after_s,
    )
    text = msgspec.json.encode(body).decode()
    message = wire.Command(
        v=wire.VERSION,
        kind="command",
        body=text,
        public_key=chain.public_text(key),
        sig=chain.sign(key, chain.command_text(text)),
    )
    return body.counter, wire.encode(message)
