"""Show who this gateway is and whom it trusts, and handle keys.

    flatwatt keys                         key, certificate and trusted keys of the gateway in gateway.toml
    flatwatt keys operator FILE           make an operator's key: FILE, and FILE.pub for `flatwatt ca`
    flatwatt keys public FILE             the public key (PEM) of a private key or a certificate
    flatwatt keys fingerprint FILE        the short name by which messages and pages call a key

docs/identity.md says which key is for what, and how to bring a PKI of your own.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config import GatewayConfig

HELP = "who this gateway is and whom it trusts; make and show keys"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    actions = ("show", "operator", "public", "fingerprint")
    parser.add_argument("action", nargs="?", choices=actions, default="show", help="what to do")
    parser.add_argument("file", nargs="?", metavar="FILE", type=Path, help="operator: to be made; else: a key (PEM)")
    parser.add_argument("-c", "--config", type=Path, default=Path("gateway.toml"), help="show: the gateway's")
    parser.add_argument("--json", action="store_true", help="show: write one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show, make or convert."""
    from agent.config import load_gateway
    from agent.deliver import chain
    from agent.deliver.identity.keys import public_key_of, public_pem
    from agent.errors import InputError
    from agent.terminal import say

    if args.action == "show":
        return _show(load_gateway(args.config), as_json=args.json)
    if args.file is None:
        raise InputError(f"`flatwatt keys {args.action}` needs FILE")
    if args.action == "operator":
        return _make_operator(args.file)
    public_key = public_key_of(args.file)
    say(chain.key_id(public_key) if args.action == "fingerprint" else public_pem(public_key).decode().rstrip())
    return 0


def _make_operator(path: Path) -> int:
    from agent.deliver import chain
    from agent.deliver.durable import write_file
    from agent.deliver.identity.keys import private_pem, public_pem
    from agent.errors import InputError
    from agent.terminal import say

    public_path = path.with_name(f"{path.name}.pub")
    if path.exists() or public_path.exists():
        raise InputError(f"{path}: exists already, and no key is replaced silently; name a new file")
    key = chain.new_key()
    try:
        write_file(path, private_pem(key))
        write_file(public_path, public_pem(chain.public_text(key)), 0o644)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    say(f"{path}: the operator's key {chain.key_id(chain.public_text(key))}; whoever has it commands the fleet")
    say(f"{public_path}: put it into the authority's folder as operator.pem, and every gateway gets it")
    return 0


def _show(config: "GatewayConfig", *, as_json: bool) -> int:
    from agent.deliver.identity.identity import FOLDER, read_identity
    from agent.deliver.identity.keys import load_gateway_key
    from agent.errors import FlatwattError
    from agent.terminal import say_json, table

    path = config.state_dir / "key.pem"
    if not path.exists():
        raise FlatwattError(f"{path}: this gateway has no key yet; `flatwatt enrol` or `flatwatt run` makes it")
    identity = read_identity(config.state_dir / FOLDER)
    shown = {
        "gateway": config.id,
        "key": load_gateway_key(path).key_id,
        "certificate_until": _iso(identity.not_after_s) if identity else None,
        "certificate_from": identity.centre.url if identity else None,
        "client_certificate": _text(config.mqtt.cert_file),
        "broker_authority": _text(config.mqtt.ca_file),
        "collector_key": _trusted(config.delivery.collector_key_file),
        "operator_key": _trusted(config.commands.operator_key_file),
    }
    if as_json:
        say_json(shown)
    else:
        table(("what", "is"), [(name.replace("_", " "), value or "-") for name, value in shown.items()])
    return 0


def _trusted(path: Path | None) -> str | None:
    from agent.deliver import chain
    from agent.deliver.identity.keys import load_public_key

    return chain.key_id(load_public_key(path)) if path is not None and path.exists() else None


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
