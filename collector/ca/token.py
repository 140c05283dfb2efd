"""One-time tokens: a secret, and the fingerprint by which the device knows the authority that it talks to.

``flatwatt1.SECRET.FINGERPRINT``: 24 random bytes in URL-safe base64, and the SHA-256 of the authority's certificate
(DER) in hexadecimal. The authority keeps the SHA-256 of the secret alone.
"""

import hashlib
import secrets

_PREFIX = "flatwatt1"
_BYTES = 24  # 192 bits: nobody guesses it within its life, nor ever


def new_token(fingerprint: str) -> tuple[str, str]:
    """Give a token for a person to carry, and the hash to keep."""
    secret = secrets.token_urlsafe(_BYTES)
    return f"{_PREFIX}.{secret}.{fingerprint}", token_hash(secret)


def token_hash(secret: str) -> str:
    """Give what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
