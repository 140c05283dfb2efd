"""The options by which a verb of the centre reaches the broker, and what must hold of them."""

import argparse
from pathlib import Path

from agent.errors import InputError
from agent.loopback import is_loopback
from agent.private_file import read_private


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--mqtt", metavar="URL", default="mqtt://127.0.0.1:1883", help="broker, mqtt:// or mqtts://")
    parser.add_argument("--username", help="at the broker")
    parser.add_argument("--password-file", metavar="FILE", type=Path, help="first line is the password")
    parser.add_argument("--ca-file", metavar="FILE", type=Path, help="what mqtts:// trusts (default: the system's)")
    parser.add_argument("--cert-file", metavar="FILE", type=Path, help="client certificate for mqtts://")
    parser.add_argument("--tls-key-file", metavar="FILE", type=Path, help="its private key")
    parser.add_argument("--plaintext", action="store_true", help="mqtt:// to another machine: a tunnel encrypts it")


def check(args: argparse.Namespace) -> None:
    """Refuse what would leave the machine in plain text, and an option that would do nothing."""
    from collector.broker_access import parse_url

    broker, _, is_encrypted = parse_url(args.mqtt)
    if any((args.ca_file, args.cert_file, args.tls_key_file)) and not is_encrypted:
        raise InputError(f"--ca-file, --cert-file, --tls-key-file: {args.mqtt} is not encrypted; expected mqtts://HOST")
    is_plain = not is_encrypted and not is_loopback(broker)
    if is_plain and not args.plaintext:
        raise InputError(
            f"--mqtt: {args.mqtt} is not encrypted, and leaves this machine; name mqtts://HOST, or add --plaintext "
            "where a tunnel encrypts it"
        )
    if args.plaintext and not is_plain:
        raise InputError(f"--plaintext: has no effect with {args.mqtt}")
    if args.tls_key_file and not args.cert_file:
        raise InputError("--tls-key-file: belongs to a certificate; name that with --cert-file")
    if args.password_file and args.username is None:
        raise InputError("--password-file: belongs to a user; name that with --username")


def password(args: argparse.Namespace) -> str | None:
    """Read the password, where one is named."""
    if args.password_file is None:
        return None
    try:
        return read_private(args.password_file, "--password-file").decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise InputError(f"--password-file: {args.password_file}: is no UTF-8 text") from None
