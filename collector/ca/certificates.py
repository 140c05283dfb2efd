"""Certificates and revocation lists as X.509 wants them. Nothing here knows a file or what time it is."""

import datetime
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.errors import EvidenceError

DAY_S = 86_400.0
ROOT_DAYS = 3650  # ten years: to replace a root means a visit to every gateway
GATEWAY_DAYS = 90.0  # a stolen key is worthless after so long, and a gateway without uplink keeps its certificate
CENTRE_DAYS = 365.0  # renewed by a person, who should not have to do it in a hurry
CRL_DAYS = 30.0  # mosquitto lets nobody in once it is over, so it is long, and written anew each day
_BACK_DAYS = 1.0  # valid from a day ago: the clocks of gateways are not exact
_BACK_SHARE = 0.1  # of a life that is shorter than that


@dataclass(frozen=True, slots=True)
class Issuer:
    """The authority's key, and the certificate by which others know it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def root(key: ec.EllipticCurvePrivateKey, name: str, now_s: float) -> x509.Certificate:
    """Make the certificate of an authority, signed by itself."""
    subject, public = _common(name), key.public_key()
    return (
        _valid(now_s, ROOT_DAYS)
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def certificate(
    issuer: Issuer, name: str, public: ec.EllipticCurvePublicKey, days: float, now_s: float, hosts: Sequence[str] = ()
) -> x509.Certificate:
    """Make the certificate of a client, or, with the hosts by which it is reached, of a server. Never of both."""
    usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    others = [_host(host) for host in hosts] or [x509.UniformResourceIdentifier(f"flatwatt:{name}")]
    return (
        _valid(now_s, days)
        .subject_name(_common(name))
        .issuer_name(issuer.certificate.subject)
        .public_key(public)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
        .sign(issuer.key, hashes.SHA256())
    )


def revocations(issuer: Issuer, revoked: Iterable[tuple[int, int]], number: int, now_s: float) -> bytes:
    """Make the list of revoked certificates, as (serial number, time), in PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(_moment(now_s - DAY_S))
        .next_update(_moment(now_s + CRL_DAYS * DAY_S))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    for serial, time_s in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_moment(time_s)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def requested(request: str) -> tuple[str, ec.EllipticCurvePublicKey]:
    """Give the name and the key of a request (PEM), once it is proven that the key signed it.

    Whatever else it asks for is not looked at: what a certificate says is decided here.
    """
    try:
        csr = x509.load_pem_x509_csr(request.encode())
        names = [str(part.value) for part in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        key, is_signed = csr.public_key(), csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise EvidenceError("the certificate request cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise EvidenceError("the key of the certificate request is not ECDSA P-256")
    if not is_signed:
        raise EvidenceError("the certificate request is not signed by its own key")
    if len(names) != 1:
        raise EvidenceError("the certificate request has not one common name")
    return names[0], key


def _common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _valid(now_s: float, days: float) -> x509.CertificateBuilder:
    back_s = min(_BACK_DAYS, days * _BACK_SHARE) * DAY_S
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(now_s - back_s))
        .not_valid_after(_moment(now_s + days * DAY_S))
    )


def _moment(time_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(time_s), datetime.UTC)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
