"""Puts the parts of a capture together: gzipped CSV, as ``flatwatt replay`` and any spreadsheet read it."""

import base64
import binascii
import gzip
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path

from agent.deliver import wire
from agent.errors import FlatwattError

_MOST_BYTES = 16 * 2**20  # unpacked: some hundred times what a gateway sends; more is no capture but a bomb


def is_whole(replies: Sequence[wire.Reply]) -> bool:
    """Say whether all replies to one command are here."""
    return bool(replies) and len(replies) >= _parts(replies[0])


def unpacked(replies: Sequence[wire.Reply]) -> bytes:
    """Give the CSV that these replies carry; :class:`FlatwattError` where it is not what was sent."""
    ordered = sorted(replies, key=lambda reply: reply.data.get("part") or 0)
    try:
        packed = base64.b64decode("".join(reply.attachment for reply in ordered), validate=True)
        if hashlib.sha256(packed).hexdigest() != ordered[0].data.get("sha256"):
            raise FlatwattError("the capture is not what its SHA-256 says: a part is altered or missing")
        unpacking = zlib.decompressobj(wbits=31)
        text = unpacking.decompress(packed, _MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise FlatwattError(f"the capture cannot be unpacked: {error}") from None
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise FlatwattError(f"the capture is cut off, or longer than {_MOST_BYTES} bytes")
    return text


def save(replies: Sequence[wire.Reply], path: Path) -> None:
    """Write the capture: as CSV, or as it came where the file's name ends in ``.gz``."""
    text = unpacked(replies)
    content = gzip.compress(text, mtime=0) if path.suffix == ".gz" else text
    try:
        path.write_bytes(content)
    except OSError as error:
        raise FlatwattError(f"{path}: cannot be written: {error.strerror}") from None


def _parts(reply: wire.Reply) -> int:
    parts = reply.data.get("parts", 1)
    return parts if isinstance(parts, int) and 1 <= parts <= 64 else 1
