"""The authority: a folder with its key, its register, and what it publishes for broker and collector.

::

    ca.key            its private key, for its owner alone
    register.db       tokens, certificates, log (register.sql)
    ca.pem            its certificate: everybody trusts by it
    crl.pem           what is revoked: mosquitto's crlfile
    enrolled/ID.pem   the public key of each gateway: the collector pins by it
    collector.pem     public key that signs receipts, and
    operator.pem      public key that signs commands: put there by a person, handed to each gateway

The private parts have mode 0600, the rest 0644: broker and collector are other users.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.deliver import chain
from agent.deliver.durable import write_file
from agent.deliver.identity.keys import load_public_key, private_pem, public_pem
from agent.errors import EvidenceError, InputError
from agent.private_file import read_private
from collector.ca.certificates import Issuer, certificate, requested, revocations, root
from collector.ca.names import gateway_name
from collector.ca.register import Issued, Register, Token
from collector.ca.token import new_token, token_hash

_log = logging.getLogger(__name__)

KEY_FILE, CERTIFICATE_FILE, CRL_FILE, REGISTER_FILE = "ca.key", "ca.pem", "crl.pem", "register.db"
ENROLLED = "enrolled"
TRUSTED = ("collector", "operator")  # public keys that are handed to each gateway
_PUBLIC = 0o644
_HOUR_S = 3600
_ISSUES_AN_HOUR = 60  # an honest gateway needs one in two months; a stolen one must not fill the disk
_REFUSALS_AN_HOUR = 1000  # in the log; nobody needs a certificate to be refused, and he must not fill the disk either
_NAME_SHOWN = 80  # letters of a name that somebody made up


def create(folder: Path, name: str, now_s: float) -> None:
    """Make a new authority. :class:`InputError` where there is one: all gateways would have to be enrolled anew."""
    if (folder / KEY_FILE).exists():
        raise InputError(f"{folder / KEY_FILE}: there is an authority already, and it stays; name another folder")
    try:
        for path in (folder, folder / ENROLLED):
            if not path.exists():
                path.mkdir(parents=True)
                path.chmod(0o755)  # whatever the umask: broker and collector read in it
        key = chain.new_key()
        pem = root(key, name, now_s).public_bytes(serialization.Encoding.PEM)
        write_file(folder / CERTIFICATE_FILE, pem, _PUBLIC)
        write_file(folder / KEY_FILE, private_pem(key))
    except OSError as error:
        raise InputError(f"{folder}: cannot make an authority here: {error.strerror}") from None


class Authority:
    """Signs certificates, and remembers each."""

    def __init__(self, folder: Path, issuer: Issuer, register: Register, now_s: Callable[[], float]) -> None:
        self._folder = folder
        self._issuer = issuer
        self._register = register
        self._now_s = now_s
        self.certificate_pem = issuer.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @classmethod
    def open(cls, folder: Path, now_s: Callable[[], float]) -> Self:
        """Read the authority in a folder; :class:`InputError` where there is none, or others may read its key."""
        path = folder / KEY_FILE
        if not path.exists():
            raise InputError(f"{path}: there is no authority here; `flatwatt ca init {folder}` makes one")
        try:
            key = serialization.load_pem_private_key(read_private(path, "the authority's key"), password=None)
            own = x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{folder}: {KEY_FILE} or {CERTIFICATE_FILE} cannot be used: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != own.public_key():
            raise InputError(f"{path}: is not the key of {CERTIFICATE_FILE}; restore both from one backup")
        file = folder / REGISTER_FILE
        if not file.exists():
            write_file(file, b"")  # with its mode before SQLite makes it with another
        return cls(folder, Issuer(key, own), Register(file), now_s)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the authority's certificate."""
        return hashlib.sha256(self._issuer.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def close(self) -> None:
        """Close the register."""
        self._register.close()

    def token(self, gateway: str, hours: float, *, replace: bool) -> str:
        """Give a token that lets one gateway in, once; ``replace`` where one of that name is in already."""
        text, hashed = new_token(self.fingerprint)
        now_s = int(self._now_s())
        with self._register.transaction():
            known = self._register.enrolled(gateway_name(gateway))
            if known is not None and not replace:
                raise InputError(
                    f"{gateway} is enrolled with key {chain.key_id(known)}; --replace lets another key in and revokes "
                    "what the old one has"
                )
            self._register.add_token(Token(hashed, gateway, now_s + int(hours * 3600), replace, None))
            self._register.log(now_s, "token", gateway, "", f"for {hours:g} hours{', replaces' if replace else ''}")
        return text

    def enrol(self, secret: str, request: str, days: float, sender: str = "") -> str:
        """Give a certificate to who shows a token; :class:`EvidenceError` says why not, and is in the log."""
        name, key = self._requested(request, sender)
        public_key, revoked, pem = chain.public_text(key), 0, ""
        with self._register.transaction():
            token = self._register.token(token_hash(secret))
            known = self._register.enrolled(name)
            why = _token_fault(token, secret, name, public_key, known, int(self._now_s()))
            if token is not None and not why:
                self._register.burn(token.hash, public_key)
                revoked = self._let_in(name, key, sender, "by a token")
            if not why:
                pem, why = self._grant(name, key, days, sender)
        return self._answer(name, sender, pem, why, revoked)

    def renew(self, request: str, proof: str | None, days: float, sender: str = "") -> str:
        """Give a new certificate to the key that is enrolled, expired or not, or to one that it vouches for.

        The request is signed by its own key, so whoever repeats it gets a certificate that only that key can use.
        """
        name, key = self._requested(request, sender)
        public_key, revoked, pem = chain.public_text(key), 0, ""
        with self._register.transaction():
            known = self._register.enrolled(name)
            why = _renewal_fault(name, public_key, known, proof)
            if not why and known != public_key:
                revoked = self._let_in(name, key, sender, "by the key before it")
            if not why:
                pem, why = self._grant(name, key, days, sender)
        return self._answer(name, sender, pem, why, revoked)

    def issue(self, name: str, days: float, hosts: tuple[str, ...]) -> tuple[bytes, bytes]:
        """Make a key and a certificate for a part of the centre; give both in PEM."""
        key, now_s = chain.new_key(), int(self._now_s())
        with self._register.transaction():
            pem = self._sign(name, key.public_key(), days, hosts)
            self._register.log(
                now_s, "issued", name, "", f"for {days:g} days{' as ' if hosts else ''}{', '.join(hosts)}"
            )
        return private_pem(key), pem.encode()

    def revoke(self, name: str) -> int:
        """Revoke every certificate of a name, let it in no more, and publish that; give how many they were."""
        now_s = int(self._now_s())
        with self._register.transaction():
            count = self._register.revoke(name, now_s)
            known = self._register.enrolled(name) is not None
            if not count and not known:
                raise InputError(f"{name} has no certificate that is valid; `flatwatt ca list` shows who has one")
            self._register.expel(name)
            self._register.log(now_s, "revoked", name, "", f"{count} certificates")
        self.publish()
        return count

    def publish(self) -> None:
        """Write what broker and collector read: the revocation list, and the key of each gateway that is in."""
        now_s = int(self._now_s())
        with self._register.transaction():
            number = self._register.log(now_s, "crl", "", "", "")
            crl = revocations(self._issuer, self._register.revoked(now_s), number, now_s)
            write_file(self._folder / CRL_FILE, crl, _PUBLIC)
            enrolled = self._register.all_enrolled()
            for path in (self._folder / ENROLLED).glob("*.pem"):
                if path.stem not in enrolled:
                    path.unlink()
            for gateway, public_key in enrolled.items():
                self._show(gateway, public_key)

    def trusted(self) -> dict[str, str]:
        """Give the public keys (PEM) that a gateway is to trust, as far as a person put them here."""
        paths = {name: self._folder / f"{name}.pem" for name in TRUSTED}
        return {name: public_pem(load_public_key(path)).decode() for name, path in paths.items() if path.exists()}

    def newest(self) -> list[Issued]:
        """Give the newest certificate of each name."""
        with self._register.transaction():
            return self._register.newest()

    def lines(self) -> list[tuple[int, str, str, str, str]]:
        """Give the log: time, what, name, sender, text."""
        with self._register.transaction():
            return self._register.lines()

    def _requested(self, request: str, sender: str) -> tuple[str, ec.EllipticCurvePublicKey]:
        try:
            name, key = requested(request)
            return gateway_name(name), key
        except (EvidenceError, InputError) as error:
            raise self._refusal("", sender, str(error)) from None

    def _let_in(self, name: str, key: ec.EllipticCurvePublicKey, sender: str, how: str) -> int:
        """Enrol this key and no other; give how many certificates of others that revokes."""
        now_s, public_key = int(self._now_s()), chain.public_text(key)
        self._register.enrol(name, public_key, now_s)
        self._register.log(now_s, "enrolled", name, sender, f"key {chain.key_id(public_key)} {how}")
        return self._register.revoke(name, now_s, except_key=public_key)

    def _grant(self, name: str, key: ec.EllipticCurvePublicKey, days: float, sender: str) -> tuple[str, str]:
        """Sign and log that, or say why not; in the transaction that let it in, so no revocation comes in between."""
        now_s = int(self._now_s())
        if self._register.issues(name, now_s - _HOUR_S) >= _ISSUES_AN_HOUR:
            return "", f"{name} had {_ISSUES_AN_HOUR} certificates within an hour; try again later"
        pem = self._sign(name, key, days)
        public_key = chain.public_text(key)
        self._register.log(now_s, "issued", name, sender, f"for {days:g} days to key {chain.key_id(public_key)}")
        self._show(name, public_key)
        return pem, ""

    def _answer(self, name: str, sender: str, pem: str, why: str, revoked: int) -> str:
        """Publish what was revoked, then refuse or give the certificate."""
        if revoked:
            self.publish()
        if why:
            raise self._refusal(name, sender, why)
        _log.info("issued to %s from %s", name, sender)
        return pem

    def _sign(self, name: str, key: ec.EllipticCurvePublicKey, days: float, hosts: tuple[str, ...] = ()) -> str:
        signed = certificate(self._issuer, name, key, days, self._now_s(), hosts)
        not_after_s = int(signed.not_valid_after_utc.timestamp())
        self._register.add_certificate(Issued(signed.serial_number, name, chain.public_text(key), not_after_s, None))
        return signed.public_bytes(serialization.Encoding.PEM).decode() + self.certificate_pem

    def _show(self, gateway: str, public_key: str) -> None:
        path, pem = self._folder / ENROLLED / f"{gateway}.pem", public_pem(public_key)
        if not path.exists() or path.read_bytes() != pem:
            write_file(path, pem, _PUBLIC)

    def _refusal(self, name: str, sender: str, why: str) -> EvidenceError:
        with self._register.transaction():
            now_s = int(self._now_s())
            if self._register.refusals(now_s - _HOUR_S) < _REFUSALS_AN_HOUR:
                self._register.log(now_s, "refused", name[:_NAME_SHOWN], sender, why)
        _log.warning("refused %s from %s: %s", name[:_NAME_SHOWN] or "a request", sender, why)
        return EvidenceError(why)


def _token_fault(token: Token | None, secret: str, name: str, public_key: str, known: str | None, now_s: int) -> str:
    """Say what is wrong with a token, nothing where it opens the door."""
    if token is None or not hmac.compare_digest(token.hash, token_hash(secret)):
        return "this token was never given out, or a newer one replaced it"
    if token.gateway != name:
        return "this token is for another gateway"
    if token.used_by is not None:
        again = token.used_by == public_key == known  # the answer was lost on its way
        return "" if again else "this token was used already"
    if now_s >= token.expires_s:
        return "this token has expired; ask for another"
    if known not in (None, public_key) and not token.replaces:
        return f"{name} is enrolled with another key; ask for a token that replaces it"
    return ""


def _renewal_fault(name: str, public_key: str, known: str | None, proof: str | None) -> str:
    """Say why a key gets no certificate, nothing where it does."""
    if known is None:
        return f"{name} is not enrolled, or was revoked; ask for a token"
    if known == public_key:
        return ""
    if proof is None:
        return f"{name} is enrolled with another key, which does not vouch for this one"
    try:
        chain.verify(known, chain.rotate_text(name, public_key), proof)
    except EvidenceError:
        return f"{name} is enrolled with another key, which did not sign this change"
    return ""
