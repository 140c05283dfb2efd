"""The evidence file: a zip whose members an auditor can check with `sha256sum` and `openssl` alone.

::

    README.txt                          what it is and how to check it
    contents.json                       gateways, period, where each stream begins
    findings.jsonl                      what did not fit at the collector
    keys/GATEWAY.KEYID.pem              public keys of the gateways
    records/GATEWAY/STREAM.jsonl        the exact bytes that the gateway sent, one record a line
    heads/GATEWAY/STREAM.txt            first 8 hex digits of the chain head after each: names an altered record
    collector.pem                       public key of the collector
    SHA256SUMS, SHA256SUMS.sig          of all the others, signed by the collector

The same content gives the same bytes: order and times of the members are fixed.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

CONTENTS, FINDINGS, README, COLLECTOR = "contents.json", "findings.jsonl", "README.txt", "collector.pem"
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
NOTED = 4  # bytes of a chain head that the file notes: enough to find a record, the signatures do the proving
MOST_BYTES = 16 * 2**20  # of a member that is read whole: contents, keys, sums
LINE_MOST = 262_144  # bytes of a record, as the collector takes them


class StreamContents(msgspec.Struct, kw_only=True):
    """One stream of the file. ``head`` is the chain head before ``first_seq``."""

    gateway: str
    stream: str
    first_seq: int
    last_seq: int
    head: str
    keys: list[str]  # ids of the keys that may sign first


class GatewayContents(msgspec.Struct, kw_only=True):
    """A gateway of the file, with its names as it last told them."""

    gateway: str
    name: str
    site: str


class Contents(msgspec.Struct, kw_only=True):
    """What is in the file."""

    v: Literal[1]
    kind: Literal["evidence"]
    from_s: int
    to_s: int
    gateways: list[GatewayContents]
    streams: list[StreamContents]


class FindingLine(msgspec.Struct, kw_only=True):
    """A finding of the collector. ``evidence`` are the bytes that contradict, in base64."""

    gateway: str
    stream: str
    seq: int
    to_seq: int
    kind: str
    text: str
    time_s: int
    resolved_s: int | None
    evidence: str


def records_of(gateway: str, stream: str) -> str:
    """Name the member with a stream's records."""
    return f"records/{gateway}/{stream}.jsonl"


def heads_of(gateway: str, stream: str) -> str:
    """Name the member with the chain heads that are noted."""
    return f"heads/{gateway}/{stream}.txt"


def key_of(gateway: str, key_id: str) -> str:
    """Name the member with a gateway's key."""
    return f"keys/{gateway}.{key_id}.pem"


def sums_text(sums: Mapping[str, str]) -> bytes:
    """Give the list that ``sha256sum -c`` reads.

    >>> print(sums_text({"b": "00ff", "a": "ff00"}).decode(), end="")
    ff00  a
    00ff  b
    """
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()


README_TEXT = """\
Evidence of power measurements, written by flatwatt

Each line of records/GATEWAY/STREAM.jsonl is one record, byte for byte as the
gateway sent it. Records are numbered (seq) without a hole. The chain head after
a record is the SHA-256 of the head before it (32 bytes) followed by the line;
contents.json says with which head each stream begins here. Records of kind
"checkpoint" carry the head before them, signed by the gateway's key
(keys/GATEWAY.KEYID.pem) with ECDSA P-256 and SHA-256 over

    flatwatt/v1 checkpoint GATEWAY STREAM THROUGH HEAD TIME_S

Where a gateway had to drop records, a record of kind "gap" says so, with the
head at its end, signed over

    flatwatt/v1 gap GATEWAY STREAM FROM_SEQ-THROUGH_SEQ HEAD TIME_S

Check it, first the file as a whole, then one stream by its own signatures:

    sha256sum -c SHA256SUMS
    openssl dgst -sha256 -verify collector.pem -signature SHA256SUMS.sig SHA256SUMS

docs/evidence.md of flatwatt has a script of sixty lines that follows a stream
with sha256sum and openssl alone, and `flatwatt verify FILE` does it for all.

The keys in this file prove nothing about who owns them: compare
collector.pem and keys/*.pem with what their owners told you on another way
(`flatwatt keys` at the gateway shows its own by the same short name).

It proves that nothing was altered, left out, put in or reordered after the
gateway signed. It does not prove that a meter told the truth.
"""
