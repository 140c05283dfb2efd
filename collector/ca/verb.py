"""The authority of the centre: lets gateways in, and gives broker, collector and operators their certificates.

    flatwatt ca init DIR                          a new authority: its key stays in DIR, keep a copy in a safe
    flatwatt ca issue DIR centre.broker --host H  key and certificate of the broker, reached as H
    flatwatt ca issue DIR centre.collector        and of the collector
    flatwatt ca serve DIR --host H                the service where gateways enrol and renew
    flatwatt ca token DIR campus-01               a token for one gateway: `flatwatt enrol URL TOKEN` takes it there
    flatwatt ca revoke DIR campus-01              let it in no more
    flatwatt ca check DIR mqtts://broker.example  does the broker keep its rules
    flatwatt ca list DIR                          who has a certificate, and until when

docs/identity.md walks through all of it. Gateways are named [a-z0-9-]{1,32}, parts of the centre with a dot.
"""

import argparse
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import FlatwattError, InputError
from agent.terminal import say, say_json, table

if TYPE_CHECKING:
    from collector.ca.authority import Authority

    _Actions = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "the authority that lets gateways in"

_PROBE, _PROBE_DAYS = "flatwatt-probe", 600 / 86_400  # as whom a broker is tried, with a certificate of ten minutes
_DAYS_MOST = 3650.0  # the life of the authority itself


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs within."""
    inner = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    init = _action(inner, "init", "begin an authority")
    init.add_argument("--name", default="flatwatt authority", help="as it stands in every certificate")
    token = _action(inner, "token", "give out a token that enrols one gateway, once")
    token.add_argument("gateway", metavar="GATEWAY", help="its id in gateway.toml")
    token.add_argument("--hours", type=_positive, metavar="N", default=24.0, help="how long it can be used")
    token.add_argument("--replace", action="store_true", help="let another key in, and revoke what the old one has")
    issue = _action(inner, "issue", "issue key and certificate to a part of the centre")
    issue.add_argument("name", metavar="NAME", help="with a dot: centre.broker, centre.collector, centre.reader")
    issue.add_argument("--host", action="append", default=[], metavar="HOST", help="makes it a server, reached by this")
    issue.add_argument("--days", type=_positive, metavar="N", default=365.0, help="how long it is valid")
    issue.add_argument("--out", type=Path, metavar="DIR", default=Path(), help="folder for NAME.key and NAME.pem")
    revoke = _action(inner, "revoke", "revoke all certificates of a name, and let it in no more")
    revoke.add_argument("name", metavar="NAME", help="a gateway or a part of the centre")
    _action(inner, "crl", "write the revocation list anew; `serve` does so each day")
    listing = _action(inner, "list", "show who has a certificate, and until when")
    listing.add_argument("--log", action="store_true", help="show everything that was issued, refused and revoked")
    listing.add_argument("--json", action="store_true", help="write JSON")
    check = _action(inner, "check", "try whether a broker keeps its rules, as a gateway would")
    check.add_argument("url", metavar="URL", help="the broker, mqtts://HOST[:PORT]")
    serve = _action(inner, "serve", "serve enrolment and renewal")
    serve.add_argument("--http", metavar="HOST:PORT", default="0.0.0.0:8443", help="where it listens")
    serve.add_argument("--host", action="append", default=[], metavar="HOST", help="a name that gateways reach it by")
    serve.add_argument("--days", type=_positive, metavar="N", default=90.0, help="life of a gateway's certificate")


def _action(
    inner: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    parser = inner.add_parser(name, help=text, description=text)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the authority's folder")
    return parser


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    from collector.ca.authority import Authority, create

    if args.action == "init":
        create(args.folder, args.name, time.time())
    authority = Authority.open(args.folder, time.time)
    try:
        return {
            "init": _init, "token": _token, "issue": _issue, "revoke": _revoke, "crl": _crl, "list": _list,
            "check": _check, "serve": _serve,
        }[args.action](authority, args)  # fmt: skip
    finally:
        authority.close()


def _init(authority: "Authority", args: argparse.Namespace) -> int:
    authority.publish()
    say(f"{args.folder}: an authority for ten years; its fingerprint is {authority.fingerprint}")
    say(f"Keep a copy of {args.folder / 'ca.key'} where no network reaches: without it every gateway enrols anew.")
    return 0


def _token(authority: "Authority", args: argparse.Namespace) -> int:
    say(authority.token(args.gateway, args.hours, replace=args.replace))
    return 0


def _issue(authority: "Authority", args: argparse.Namespace) -> int:
    from agent.deliver.durable import write_file
    from collector.ca.names import centre_name, host_name

    name, hosts = centre_name(args.name), tuple(map(host_name, args.host))
    key_file, certificate_file = args.out / f"{name}.key", args.out / f"{name}.pem"
    if not args.out.is_dir():
        raise InputError(f"--out: {args.out}: is no folder")
    key, certificate = authority.issue(name, _days(args.days), hosts)
    try:
        write_file(key_file, key)
        write_file(certificate_file, certificate, 0o644)
    except OSError as error:
        raise InputError(f"--out: {args.out}: cannot write {name}.key and {name}.pem: {error.strerror}") from None
    say(f"{key_file} and {certificate_file}, valid for {args.days:g} days")
    return 0


def _revoke(authority: "Authority", args: argparse.Namespace) -> int:
    count = authority.revoke(args.name)
    say(f"{args.name} is let in no more, and {count} of its certificates are on {args.folder / 'crl.pem'}.")
    say("Restart the broker: it reads the list at a reload, but lets stand what is connected.")
    return 0


def _crl(authority: "Authority", _args: argparse.Namespace) -> int:
    authority.publish()
    return 0


def _list(authority: "Authority", args: argparse.Namespace) -> int:
    if args.log:
        lines = [
            {"time": _iso(time_s), "what": what, "name": name, "sender": sender, "text": text}
            for time_s, what, name, sender, text in authority.lines()
            if what != "crl"
        ]
        _show(lines, as_json=args.json)
        return 0
    now_s = time.time()
    rows = [
        {
            "name": issued.name,
            "until": _iso(issued.not_after_s),
            "state": "revoked" if issued.revoked_s else "valid" if issued.not_after_s > now_s else "expired",
            "serial": f"{issued.serial:x}",
        }
        for issued in authority.newest()
    ]
    _show(rows, as_json=args.json)
    return 0


def _check(authority: "Authority", args: argparse.Namespace) -> int:
    from collector.broker_access import parse_url
    from collector.ca.authority import CERTIFICATE_FILE
    from collector.ca.broker_check import Visitor, contexts

    host, port, is_encrypted = parse_url(args.url)
    if not is_encrypted:
        raise InputError(f"URL: {args.url} is not encrypted; expected mqtts://HOST[:PORT]")
    tls, stranger = contexts(args.folder / CERTIFICATE_FILE, *authority.issue(_PROBE, _PROBE_DAYS, ()))
    failed = 0
    for what, is_kept in Visitor(host, port, _PROBE, tls, stranger).findings():
        say(f"{'kept  ' if is_kept else 'BROKEN'}  {what}")
        failed += not is_kept
    if failed:
        raise FlatwattError(f"{args.url} does not keep {failed} of its rules: see acl_file in deploy/mosquitto.conf")
    return 0


def _show(rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        say_json(list(rows))
    elif rows:
        table(tuple(rows[0]), [tuple(row.values()) for row in rows])


def _serve(authority: "Authority", args: argparse.Namespace) -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        from collector.ca.service import Settings, serve
    except ModuleNotFoundError as error:
        raise FlatwattError(
            f"the service needs {error.name}, which is not installed: pip install 'flatwatt[collector]'"
        ) from None
    from collector.ca.names import host_name

    if not args.host:
        raise InputError("--host: missing; name the host or the address that gateways reach this service by")
    host, _, port = args.http.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise InputError(f"--http: {args.http!r} is no address; expected HOST:PORT, for example 0.0.0.0:8443")
    names = tuple(map(host_name, args.host))
    return serve(
        Settings(folder=args.folder, host=host.strip("[]"), port=int(port), names=names, days=_days(args.days)),
        authority,
    )


def _days(days: float) -> float:
    if days > _DAYS_MOST:
        raise InputError(f"--days {days:g} is longer than the authority itself lives, {_DAYS_MOST:g}")
    return days


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is wrong, expected a number above 0")
    return value


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
