"""Enrol this gateway at the centre: its key is made here and stays here, the centre signs a certificate for it.

    flatwatt enrol https://centre.example:8443 flatwatt1.… -c gateway.toml

The token comes from `flatwatt ca token` at the centre and works once. It also says which authority to trust, so
nobody in between can pose as the centre. Afterwards `flatwatt run` connects with the certificate and renews it
by itself. With `-` in place of the token it is read from the standard input, where `ps` does not show it.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

HELP = "get this gateway's certificate from the centre"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("url", metavar="URL", help="the centre's enrolment service, https://HOST[:PORT]")
    parser.add_argument("token", metavar="TOKEN", help="one-time token of the centre, or - to read it")
    parser.add_argument("-c", "--config", type=Path, default=Path("gateway.toml"), help="the gateway's configuration")


def run(args: argparse.Namespace) -> int:
    """Enrol."""
    from agent.config import load_gateway
    from agent.deliver.identity.enrolment import Centre, Token
    from agent.deliver.identity.identity import FOLDER, keep_identity, read_identity
    from agent.deliver.identity.keys import load_gateway_key
    from agent.terminal import say

    config = load_gateway(args.config)
    written = args.token
    token = Token.read(sys.stdin.readline(1000) if written == "-" else written)
    key = load_gateway_key(config.state_dir / "key.pem")
    centre = Centre.find(args.url, token.fingerprint)
    grant = centre.enrol(token, config.id, key)
    folder = config.state_dir / FOLDER
    keep_identity(folder, centre, grant)
    identity = read_identity(folder)
    assert identity is not None
    until = datetime.fromtimestamp(identity.not_after_s, UTC).strftime("%Y-%m-%d %H:%M")
    say(f"{config.id} is enrolled with key {key.key_id}; its certificate is valid until {until} UTC and renewed before")
    if grant.collector is None:
        say("The centre named no collector key: the first collector whose receipt fits is trusted.")
    if grant.operator is None:
        say("The centre named no operator key: commands are refused.")
    return 0
