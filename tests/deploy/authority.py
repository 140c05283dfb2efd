"""A certificate authority of one test, on disk as a broker reads it."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates into a folder: ``ca.crt``, ``NAME.crt`` and ``NAME.key``, and ``revoked.crl``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = datetime.datetime.now(datetime.UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority of a test")
        self._write("ca.crt", self._sign(self._name, self._key, authority=True).public_bytes(Encoding.PEM))
        self.revoke()

    def issue(self, common_name: str) -> x509.Certificate:
        """Write a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(common_name), key, authority=False)
        self._write(f"{common_name}.crt", certificate.public_bytes(Encoding.PEM))
        self._write(f"{common_name}.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate

    def revoke(self, *certificates: x509.Certificate) -> None:
        """Write the list of revoked certificates: these and no others."""
        revoked = x509.CertificateRevocationListBuilder(self._name, self._now - _DAY, self._now + _DAY)
        for certificate in certificates:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, self._now - _DAY).build()
            revoked = revoked.add_revoked_certificate(entry)
        self._write("revoked.crl", revoked.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def context(self, common_name: str) -> ssl.SSLContext:
        """Give what the client of this name connects with."""
        context = ssl.create_default_context(cafile=str(self._folder / "ca.crt"))
        context.load_cert_chain(self._folder / f"{common_name}.crt", self._folder / f"{common_name}.key")
        return context

    def _write(self, name: str, content: bytes) -> None:
        (self._folder / name).write_bytes(content)

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        usage = x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False)
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        return (
            builder.not_valid_before(self._now - _DAY)
            .not_valid_after(self._now + _DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(here, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
