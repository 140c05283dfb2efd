"""Keys in files: the gateway's own, made at the first start, and the public keys that it trusts."""

import base64
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.deliver import chain, wire
from agent.deliver.durable import write_file
from agent.errors import InputError
from agent.private_file import read_private


@dataclass(slots=True)
class GatewayKey:
    """An ECDSA P-256 key with the two texts by which messages name it.

    One object for all that sign: where the gateway gets another key, it changes under them.
    """

    private: ec.EllipticCurvePrivateKey
    public_key: str  # base64 of the DER form, as in the birth message
    key_id: str

    def become(self, other: "GatewayKey") -> None:
        """Sign by another key from now on."""
        self.private, self.public_key, self.key_id = other.private, other.public_key, other.key_id

    def checkpoint(self, gateway: str, stream: str, seq: int, head: bytes, time_s: int) -> wire.Checkpoint:
        """Sign the chain head after record ``seq - 1``, as record ``seq`` of the same stream."""
        text = chain.checkpoint_text(gateway, stream, seq - 1, head.hex(), time_s)
        return wire.Checkpoint(
            v=wire.VERSION,
            kind="checkpoint",
            stream=stream,
            seq=seq,
            gateway=gateway,
            through=seq - 1,
            head=head.hex(),
            time_s=time_s,
            key=self.key_id,
            sig=chain.sign(self.private, text),
        )


def load_gateway_key(path: Path) -> GatewayKey:
    """Read the gateway's key (PEM, PKCS 8); make one, readable by its owner only, where there is none.

    Raises :class:`InputError` where the file is no such key, or others may read it.
    """
    try:
        if path.is_symlink() and not path.exists():  # systemd hands its credential to the service alone
            raise InputError(f"{path}: leads to {path.readlink()}, which is not there, and no key takes its place")
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(path, private_pem(chain.new_key()))
    except OSError as error:
        raise InputError(f"{path}: cannot make the gateway's key: {error.strerror}") from None
    private = load_private_key(path)
    public_key = chain.public_text(private)
    return GatewayKey(private, public_key, chain.key_id(public_key))


def load_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a key that signs (PEM, PKCS 8); :class:`InputError` where it is none, or others may read it."""
    pem = read_private(path, "this private key")
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(
            f"{path}: not a private key in unencrypted PEM form: restore it from a backup, or move it away and make a "
            "new one, which the other side must then be told to trust"
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise InputError(f"{path}: keys that sign are ECDSA P-256, and this is another kind of key")
    return private


def load_public_key(path: Path) -> str:
    """Read a public key (PEM), of a collector or a gateway, and give it as it stands in messages."""
    try:
        public = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot read this public key: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path}: not a public key in PEM form (-----BEGIN PUBLIC KEY-----)") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise InputError(f"{path}: keys here are ECDSA P-256, and this is another kind")
    return chain.public_text(public)


def public_key_of(path: Path) -> str:
    """Give the public key of a file that holds a private key, a public key or a certificate (PEM)."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if b"-----BEGIN PUBLIC KEY-----" in pem:
        return load_public_key(path)
    public: object
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            public = x509.load_pem_x509_certificate(pem).public_key()
        else:
            public = serialization.load_pem_private_key(pem, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(f"{path}: is no key and no certificate in unencrypted PEM form") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise InputError(f"{path}: keys here are ECDSA P-256, and this is another kind")
    return chain.public_text(public)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give a private key as it lies in a file: PEM, PKCS 8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(public_key: str) -> bytes:
    """Give a public key of a message as a file holds it."""
    public = serialization.load_der_public_key(base64.b64decode(public_key))
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
