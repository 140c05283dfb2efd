"""The gateway's own key, made at the first start, and the collector's public key, where one is pinned by a file."""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.deliver import chain, wire
from agent.deliver.durable import sync_folder
from agent.errors import InputError


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """An ECDSA P-256 key with the two texts by which messages name it."""

    private: ec.EllipticCurvePrivateKey
    public_key: str  # base64 of the DER form, as in the birth message
    key_id: str

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
        if not path.exists():
            _make(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_file() and mode & 0o077:
            raise InputError(f"{path}: others may read this private key (mode {mode:04o}): chmod 600 {path}")
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise InputError(f"{path}: cannot read or make the gateway's key: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(
            f"{path}: not a private key in unencrypted PEM form: restore it from a backup, or move it away and a new "
            "key is made, which the collector must then be told to trust"
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise InputError(f"{path}: the gateway signs with ECDSA P-256, and this is another kind of key")
    public_key = chain.public_text(private)
    return GatewayKey(private, public_key, chain.key_id(public_key))


def load_public_key(path: Path) -> str:
    """Read a collector's public key (PEM) and give it as it stands in messages."""
    try:
        public = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot read the collector's key: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path}: not a public key in PEM form (-----BEGIN PUBLIC KEY-----)") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise InputError(f"{path}: the collector signs with ECDSA P-256, and this is another kind of key")
    return chain.public_text(public)


def _make(path: Path) -> None:
    """Write a new key under another name first: a crash leaves a whole key or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = chain.new_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)
