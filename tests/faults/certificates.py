"""Certificates as a broker may show them: of our authority or another, in time or expired, for this host or not."""

import datetime
import ipaddress
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_DAY = datetime.timedelta(days=1)


class Maker:
    """A certificate authority in a folder: ``ca.crt``, and ``NAME.crt`` with ``NAME.key``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"authority {folder.name}")
        own = self._builder(self._name, self._key, days=1, ca=True)
        (folder / "ca.crt").write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name: str, address: str, *, days: int = 1) -> None:
        """Write a certificate for an address that is valid until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = self._builder(_name(name), key, days=days, ca=False).add_extension(host, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        (self._folder / f"{name}.crt").write_bytes(signed.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / f"{name}.key").write_bytes(private)

    def show(self, name: str, folder: Path) -> None:
        """Put a certificate where the broker reads its own at its next start."""
        for kind in ("crt", "key"):
            shutil.copy(self._folder / f"{name}.{kind}", folder / kind)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int, ca: bool
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        dated = builder.not_valid_before(now - 10 * _DAY).not_valid_after(now + days * _DAY)
        return dated.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
