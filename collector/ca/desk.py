"""What the enrolment service answers: a gateway shows a token or its enrolled key, and gets a certificate."""

import asyncio
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from agent.errors import EvidenceError, FlatwattError
from collector.ca.authority import CERTIFICATE_FILE, CRL_FILE, Authority

BODY_BYTES = 16_384  # a request for a P-256 key has 500
REFUSALS = 10  # of one address before it has to wait; honest devices have none
REFUSAL_S = 10.0  # until another one is forgiven
ADDRESSES = 10_000  # remembered: what a scan from everywhere may cost of memory

_log = logging.getLogger(__name__)


class _Enrol(msgspec.Struct):
    token: str
    csr: str


class _Renew(msgspec.Struct):
    csr: str
    proof: str | None = None


class Patience:
    """How often an address may be refused: ten times, then once every ten seconds."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # line of an address: refusals, as of

    def is_over(self, address: str) -> bool:
        """Say whether this address has to wait."""
        return self._refusals(address) > REFUSALS - 1

    def refused(self, address: str) -> None:
        """Note one more refusal."""
        self._spent[_line(address)] = (self._refusals(address) + 1, self._now_s())
        self._spent.move_to_end(_line(address))
        while len(self._spent) > ADDRESSES:
            self._spent.popitem(last=False)

    def _refusals(self, address: str) -> float:
        refusals, as_of_s = self._spent.get(_line(address), (0.0, self._now_s()))
        return max(0.0, refusals - (self._now_s() - as_of_s) / REFUSAL_S)


def _line(address: str) -> str:
    """Give what belongs to one customer: an address, or the 2^64 that one line has with IPv6.

    >>> _line("10.0.0.1"), _line("2001:db8::77:1")
    ('10.0.0.1', '2001:db8::')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_address(int(parsed) >> 64 << 64)) if parsed.version == 6 else address


class Desk:
    """Answers requests."""

    def __init__(self, authority: Authority, folder: Path, days: float, patience: Patience) -> None:
        self._authority = authority
        self._folder = folder
        self._days = days
        self._patience = patience

    def routes(self) -> list[Route]:
        """Give what can be asked for."""
        return [
            Route("/ca.pem", self._file(CERTIFICATE_FILE)),
            Route("/crl.pem", self._file(CRL_FILE)),
            Route("/enrol", self._enrol, methods=["POST"]),
            Route("/renew", self._renew, methods=["POST"]),
        ]

    def _file(self, name: str) -> Callable[[Request], Response]:
        return lambda _request: FileResponse(self._folder / name, media_type="application/x-pem-file")

    async def _enrol(self, request: Request) -> Response:
        def sign(body: bytes, sender: str) -> str:
            asked = msgspec.json.decode(body, type=_Enrol)
            return self._authority.enrol(asked.token, asked.csr, self._days, sender)

        return await self._serve(request, sign)

    async def _renew(self, request: Request) -> Response:
        def sign(body: bytes, sender: str) -> str:
            asked = msgspec.json.decode(body, type=_Renew)
            return self._authority.renew(asked.csr, asked.proof, self._days, sender)

        return await self._serve(request, sign)

    async def _serve(self, request: Request, sign: Callable[[bytes, str], str]) -> Response:
        """Check what is cheap to check first; a refusal says why, since it says nothing that the asker may not know."""
        sender = request.client.host if request.client else ""
        if self._patience.is_over(sender):
            return _error(429, "too many refusals; try again in a minute")
        body = await _body(request)
        if body is None:
            return _error(413, f"a request has at most {BODY_BYTES} bytes")
        try:
            pem = await asyncio.to_thread(sign, body, sender)
            return JSONResponse({"certificate": pem, **self._authority.trusted()})
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._patience.refused(sender)
            return _error(400, f"not a request of flatwatt: {error}")
        except EvidenceError as error:
            self._patience.refused(sender)
            return _error(403, str(error))
        except (FlatwattError, OSError) as error:
            _log.error("%s", error)
            return _error(503, "the authority cannot sign now; try again later")


async def _body(request: Request) -> bytes | None:
    """Read the body; None where it is too long, whatever its header says."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            return None
    return body


def _error(code: int, text: str) -> Response:
    return JSONResponse({"error": text}, code)
