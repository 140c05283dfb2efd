"""How a gateway gets its certificate from the centre: a request signed by its own key, over HTTPS.

The key never leaves the device. The first time a token opens the door, and says which authority to trust;
afterwards the key that is enrolled is enough, whether its certificate is still valid or not.
"""

import hashlib
import http.client
import re
import ssl
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from agent.deliver import chain
from agent.deliver.identity.keys import GatewayKey
from agent.errors import FlatwattError, InputError

_TIMEOUT_S = 10.0  # for each step on the line; the centre answers in milliseconds
_MOST_BYTES = 65_536  # of an answer: a chain of two certificates and two keys has 2500
_TOKEN = re.compile(r"flatwatt1\.([A-Za-z0-9_-]{20,100})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Token:
    """What a person carries from the centre to the gateway."""

    secret: str
    fingerprint: str  # SHA-256 of the authority's certificate

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a token as `flatwatt ca token` prints it."""
        found = _TOKEN.fullmatch(text.strip())
        if found is None:
            raise InputError(
                "TOKEN: is not as `flatwatt ca token` prints it, flatwatt1.… in three parts: copy it whole"
            )
        return cls(found[1], found[2])


class Grant(msgspec.Struct, kw_only=True):
    """What the centre answers, in PEM: the certificate with its chain, and whom else to trust."""

    certificate: str
    collector: str | None = None  # public key that signs receipts
    operator: str | None = None  # public key that signs commands


class _Refusal(msgspec.Struct):
    error: str


@dataclass(frozen=True, slots=True)
class Centre:
    """The enrolment service of the centre, and the authority that it must prove to belong to."""

    url: str
    ca_pem: str

    @classmethod
    def find(cls, url: str, fingerprint: str) -> Self:
        """Ask for the authority's certificate; only one with this fingerprint is believed."""
        blind = ssl.create_default_context()
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE  # the fingerprint is the check
        try:
            found = x509.load_pem_x509_certificate(_ask(url, "GET", "/ca.pem", None, blind))
        except ValueError:
            raise FlatwattError(f"{url} does not answer as an enrolment service of flatwatt") from None
        der = found.public_bytes(serialization.Encoding.DER)
        if hashlib.sha256(der).hexdigest() != fingerprint:
            raise FlatwattError(
                f"{url} is not of the authority that made the token: the URL is wrong, or somebody is in between"
            )
        return cls(url, ssl.DER_cert_to_PEM_cert(der))  # and nothing that may have followed it

    def enrol(self, token: Token, gateway: str, key: GatewayKey) -> Grant:
        """Show the token, once."""
        return self._ask("/enrol", {"token": token.secret, "csr": _request(gateway, key)}, gateway, key)

    def renew(self, gateway: str, key: GatewayKey, former: GatewayKey | None = None) -> Grant:
        """Ask for another certificate; for a new key, ``former`` is the enrolled one, which vouches for it."""
        asked = {"csr": _request(gateway, key)}
        if former is not None:
            asked["proof"] = chain.sign(former.private, chain.rotate_text(gateway, key.public_key))
        return self._ask("/renew", asked, gateway, key)

    def _ask(self, path: str, asked: dict[str, str], gateway: str, key: GatewayKey) -> Grant:
        context = ssl.create_default_context(cadata=self.ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        answer = _ask(self.url, "POST", path, msgspec.json.encode(asked), context)
        try:
            grant = msgspec.json.decode(answer, type=Grant)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FlatwattError(f"{self.url}: not an answer of flatwatt: {error}") from None
        self._check(grant, gateway, key)
        return grant

    def _check(self, grant: Grant, gateway: str, key: GatewayKey) -> None:
        """Take no certificate that would not work: for another key or name, or by another authority."""
        try:
            certificate = x509.load_pem_x509_certificate(grant.certificate.encode())
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(self.ca_pem.encode()))
        except (ValueError, TypeError, InvalidSignature):
            raise FlatwattError(f"{self.url}: the certificate is not of the authority that we trust") from None
        der = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        names = [part.value for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if hashlib.sha256(der).hexdigest()[:16] != key.key_id or names != [gateway]:
            raise FlatwattError(f"{self.url}: the certificate is for another key or another name")


def _request(gateway: str, key: GatewayKey) -> str:
    """Give the certificate request: the name, and the proof that we hold the key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gateway)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key.private, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def _ask(url: str, method: str, path: str, body: bytes | None, context: ssl.SSLContext) -> bytes:
    """Ask once; give the answer's body, or raise what the centre says against it."""
    host, port = _address(url)
    connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        status, answer = response.status, response.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or error
        raise FlatwattError(f"{url}: no connection: {why}") from None
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        raise FlatwattError(f"{url}: {_reason(answer) or f'refused with HTTP status {status}'}")
    return answer


def _reason(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Refusal).error[:300]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _address(url: str) -> tuple[str, int]:
    """Give host and port.

    >>> _address("https://centre.example:8443"), _address("https://[::1]")
    (('centre.example', 8443), ('::1', 443))
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme != "https" or not host or parts.path.strip("/") or parts.query or parts.username:
        raise InputError(f"URL: {url!r} is no enrolment service; expected https://HOST[:PORT]")
    return host, port or 443
