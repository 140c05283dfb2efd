"""Store what the gateways send, acknowledge it with signed receipts, and show the fleet on a page.

The defaults work with a broker on this machine. The database holds the exact bytes that arrived;
the key signs the receipts, and gateways pin it: keep a copy of both. End it with Ctrl-C or SIGTERM.
"""

import argparse
import logging
import time
from pathlib import Path

from agent.errors import FlatwattError, InputError
from collector import broker_options

HELP = "collect from the gateways, and show the fleet"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    broker_options.declare(parser)
    parser.add_argument("--db", metavar="FILE", type=Path, default=Path("collector.db"), help="database")
    parser.add_argument("--http", metavar="HOST:PORT", default="127.0.0.1:8080", help="where the page is served")
    parser.add_argument("--key", metavar="FILE", type=Path, help="signing key, made if missing (default: beside --db)")
    parser.add_argument(
        "--recover", metavar="FILE", type=Path, help="take over a damaged or older database into a new --db first"
    )
    parser.add_argument(
        "--enrolled", metavar="DIR", type=Path, help="keys of the gateways that may report: enrolled/ of `flatwatt ca`"
    )


def run(args: argparse.Namespace) -> int:
    """Collect until SIGINT or SIGTERM."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        from collector.service import Settings, serve
    except ModuleNotFoundError as error:
        raise FlatwattError(
            f"the collector needs {error.name}, which is not installed: pip install 'flatwatt[collector]'"
        ) from None
    broker_options.check(args)
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
            password=broker_options.password(args),
            ca_file=args.ca_file,
            cert_file=args.cert_file,
            tls_key_file=args.tls_key_file,
            enrolled=_folder(args.enrolled),
            recover=_damaged(args.recover, database),
            now_s=time.time,
        )
    )


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


def _damaged(path: Path | None, database: Path) -> Path | None:
    """Check what is to be recovered, and that nothing is there to mix it with."""
    if path is not None and not path.is_file():
        raise InputError(f"--recover: {path}: there is no such file")
    if path is not None and database.exists():
        raise InputError(f"--recover: {database} is there already; name a new file with --db, or start without this")
    return path


def _folder(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise InputError(f"--enrolled: {path}: is no folder; `flatwatt ca init` makes one")
    return path
