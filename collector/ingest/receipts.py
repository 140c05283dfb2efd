"""The collector's key, and the receipts that it signs: only they let a gateway's spool forget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.deliver import chain, wire
from agent.deliver.durable import write_file
from agent.deliver.identity.keys import private_pem
from agent.errors import FlatwattError
from agent.private_file import read_private
from collector.store.ledger import Stream


class Signer:
    """The collector's identity: one P-256 key, which gateways pin."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public_key = chain.public_text(key)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key; make it, readable by its owner alone, where there is none yet."""
        try:
            return cls(_read(path) if path.exists() else _make(path))
        except OSError as error:
            raise FlatwattError(f"{path}: {error.strerror}; name a file that can be read and made with --key") from None

    @property
    def key_id(self) -> str:
        """The short name of the public key."""
        return chain.key_id(self.public_key)

    def signature(self, text: bytes) -> bytes:
        """Sign a list of sums: DER, as ``openssl dgst -verify`` reads it, and the same for the same text."""
        return self._key.sign(text, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def receipt(self, stream: Stream, missing: Sequence[tuple[int, int]], time_s: int) -> wire.ReceiptMessage:
        """Sign how far a stream is committed, and what of it is wanted again."""
        head = stream.head.hex()
        text = chain.receipt_text(stream.gateway, stream.stream, stream.through, missing, head, time_s)
        return wire.ReceiptMessage(
            v=wire.VERSION,
            kind="receipt",
            gateway=stream.gateway,
            stream=stream.stream,
            through=stream.through,
            missing=list(missing),
            head=head,
            time_s=time_s,
            public_key=self.public_key,
            sig=chain.sign(self._key, text),
        )


def _make(path: Path) -> ec.EllipticCurvePrivateKey:
    key = chain.new_key()
    write_file(path, private_pem(key))
    return key


def _read(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(read_private(path, "the key that signs receipts"), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise FlatwattError(
            f"{path}: no unencrypted P-256 private key in PEM. Put the right file back: gateways pinned its public "
            "key. To begin with a new one, move this file away and start again"
        )
    return key
