"""The hash chain over payload bytes, and the texts that get signed.

``head(0)`` is the SHA-256 of ``flatwatt/v1 <gateway> <stream>``; ``head(n)`` is the SHA-256 of
``head(n-1)`` followed by the payload bytes of record ``n``. A checkpoint signs a head, a
receipt repeats it: both sides then hold a proof against each other. Keys are ECDSA P-256,
the curve that TPMs and secure elements have; ``openssl dgst -sha256 -verify`` checks the
same signatures.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.errors import EvidenceError


def first_head(gateway: str, stream: str) -> bytes:
    """Give the head of a stream that has no record yet, 32 bytes."""
    return hashlib.sha256(f"flatwatt/v1 {gateway} {stream}".encode()).digest()


def next_head(head: bytes, payload: bytes) -> bytes:
    """Give the head after one more record, 32 bytes."""
    return hashlib.sha256(head + payload).digest()


def checkpoint_text(gateway: str, stream: str, through: int, head: str, time_s: int) -> bytes:
    """Give the bytes that a checkpoint signs.

    >>> checkpoint_text("campus-01", "9f86d081", 41, "00ff", 1767225600)
    b'flatwatt/v1 checkpoint campus-01 9f86d081 41 00ff 1767225600'
    """
    return f"flatwatt/v1 checkpoint {gateway} {stream} {through} {head} {time_s}".encode()


def receipt_text(
    gateway: str, stream: str, through: int, missing: Sequence[Sequence[int]], head: str, time_s: int
) -> bytes:
    """Give the bytes that a receipt signs; ``missing`` are closed ranges, ``-`` where there are none.

    >>> receipt_text("campus-01", "9f86d081", 41, [(45, 47), (50, 50)], "00ff", 1767225600)
    b'flatwatt/v1 receipt campus-01 9f86d081 41 45-47,50-50 00ff 1767225600'
    """
    ranges = ",".join(f"{first}-{last}" for first, last in missing) or "-"
    return f"flatwatt/v1 receipt {gateway} {stream} {through} {ranges} {head} {time_s}".encode()


def gap_text(gateway: str, stream: str, from_seq: int, through_seq: int, head: str, time_s: int) -> bytes:
    """Give the bytes that a gap record signs: where the chain goes on. What else it says, the chain covers.

    >>> gap_text("campus-01", "9f86d081", 12, 40, "00ff", 1767225600)
    b'flatwatt/v1 gap campus-01 9f86d081 12-40 00ff 1767225600'
    """
    return f"flatwatt/v1 gap {gateway} {stream} {from_seq}-{through_seq} {head} {time_s}".encode()


def command_text(body: str) -> bytes:
    """Give the bytes that an operator signs.

    >>> command_text('{"gateway":"campus-01"}')
    b'flatwatt/v1 command {"gateway":"campus-01"}'
    """
    return f"flatwatt/v1 command {body}".encode()


def rotate_text(gateway: str, public_key: str) -> bytes:
    """Give the bytes by which a gateway's key names the one that follows it.

    >>> rotate_text("campus-01", "MFkw")
    b'flatwatt/v1 rotate campus-01 MFkw'
    """
    return f"flatwatt/v1 rotate {gateway} {public_key}".encode()


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def public_text(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> str:
    """Give a public key as it stands in messages: base64 of the DER SubjectPublicKeyInfo."""
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def key_id(public_key: str) -> str:
    """Give the short name of a public key: the first 16 hex digits of the SHA-256 of its DER form."""
    return hashlib.sha256(base64.b64decode(public_key)).hexdigest()[:16]


def sign(key: ec.EllipticCurvePrivateKey, text: bytes) -> str:
    """Sign with ECDSA P-256 and SHA-256; base64 of the DER signature."""
    return base64.b64encode(key.sign(text, ec.ECDSA(hashes.SHA256()))).decode()


@lru_cache(maxsize=256)
def load_public(public_key: str) -> ec.EllipticCurvePublicKey:
    """Read a public key as it stands in messages; :class:`EvidenceError` where it is no P-256 key."""
    try:
        key = serialization.load_der_public_key(base64.b64decode(public_key, validate=True))
    except (UnsupportedAlgorithm, ValueError):
        raise EvidenceError("the public key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise EvidenceError("the public key is not ECDSA P-256")
    return key


def verify(public_key: str, text: bytes, signature: str) -> None:
    """Raise :class:`EvidenceError` unless ``signature`` over ``text`` was made by ``public_key``'s owner."""
    try:
        load_public(public_key).verify(base64.b64decode(signature, validate=True), text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise EvidenceError("the signature does not fit: altered, or signed by another key") from None
