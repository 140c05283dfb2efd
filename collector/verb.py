"""Store what the gateways send, acknowledge it with signed receipts, and show the fleet on a page.

The defaults work with a broker on this machine. The database holds the exact bytes that arrived;
the key signs the receipts, and gateways pin it: keep a copy of both. End it with Ctrl-C or SIGTERM.
"""

import argparse
import logging
import time
from pathlib import Path

from agent.errors import FlatwattError, InputError
from agent.loopback import is_loopback
from agent.private_file import read_private

HELP = "collect from the gateways, and show the fleet"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--mqtt", metavar="URL", default="mqtt://127.0.0.1:1883", help="broker, mqtt:// or mqtts://")
    parser.add_argument("--db", metavar="FILE", type=Path, default=Path("collector.db"), help="database")
    parser.add_argument("--http", metavar="HOST:PORT", default="127.0.0.1:8080", help="where the page is served")
    parser.add_argument("--key", metavar="FILE", type=Path, help="signing key, made if missing (default: beside --db)")
    parser.add_argument("--username", help="at the broker")
    parser.add_argument("--password-file", metavar="FILE", type=Path, help="first line is the password")
    parser.add_argument("--ca-file", metavar="FILE", type=Path, help="what mqtts:// trusts (default: the system's)")
    parser.add_argument("--cert-file", metavar="FILE", type=Path, help="client certificate for mqtts://")
    parser.add_argument("--tls-key-file", metavar="FILE", type=Path, help="its private key")
    parser.add_argument("--plaintext", action="store_true", help="mqtt:// to another machine: a tunnel encrypts it")
    parser.add_argument(
        "--enrolled", metavar="DIR", type=Path, help="keys of the gateways that may report: enrolled/ of `flatwatt ca`"
    )


def run(args: argparse.Namespace) -> int:
    """Collect until SIGINT or SIGTERM."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        from collector.ingest.subscriber import parse_url
        from collector.service import Settings, serve
    except ModuleNotFoundError as error:
        raise FlatwattError(
            f"the collector needs {error.name}, which is not installed: pip install 'flatwatt[collector]'"
        ) from None
    _refuse_idle(args, *parse_url(args.mqtt))
    host, port = _address(args.http)
    database = _file(args.db)
    return serve(
        Settings(
            mqtt=args.mqtt,
            database=database,
            key_file=args.key or database.with_suffix(".key"),
            host=host,
            port=port,
            username=args.username,
            password=_password(args.password_file),
            ca_file=args.ca_file,
            cert_file=args.cert_file,
            tls_key_file=args.tls_key_file,
            enrolled=_folder(args.enrolled),
            now_s=time.time,
        )
    )


def _refuse_idle(args: argparse.Namespace, broker: str, _port: int, is_encrypted: bool) -> None:
    """Refuse what would leave the machine in plain text, and an option that would do nothing."""
    if any((args.ca_file, args.cert_file, args.tls_key_file)) and not args.mqtt.startswith("mqtts://"):
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


def _address(text: str) -> tuple[str, int]:
    """Give host and port.

    >>> _address("127.0.0.1:8080"), _address("[::1]:0")
    (('127.0.0.1', 8080), ('::1', 0))
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise InputError(f"--http: {text!r} is no address; expected HOST:PORT, for example 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def _file(path: Path) -> Path:
    if path.exists() and not path.is_file():
        raise InputError(
            f"--db: {path}: is no file; expected a database or a new name, for example {path}/collector.db"
        )
    return path


def _folder(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise InputError(f"--enrolled: {path}: is no folder; `flatwatt ca init` makes one")
    return path


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return read_private(file, "--password-file").decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise InputError(f"--password-file: {file}: is no UTF-8 text") from None
