"""Where streams to follow come from: an evidence file, a collector's database, a gateway's spool."""

import base64
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.deliver import chain
from agent.errors import EvidenceError, InputError
from collector.proof import members
from collector.proof.members import Contents, FindingLine
from collector.proof.walk import Line, Segment
from collector.store.database import open_reader, translated
from collector.store.segments import Run, Segments
from collector.store.spool_reader import is_spool, reading_spool

_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]{1,200})")
_BLOCK = 2**20
_FINDING_MOST = 2 * members.LINE_MOST  # bytes of a line: the record that contradicts, in base64
_TIME_MOST_S = 253_402_300_799  # as in collector/ingest/reading.py
_NOTE_MOST = 100  # letters of a note's line
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
)  # as zipfile names them
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others bring errors of their own


@dataclass(slots=True, kw_only=True)
class Source:
    """What is to be followed. ``faults`` are of the file as a whole."""

    kind: str  # evidence, spool, database
    segments: list[Segment]
    period: tuple[int, int] | None = None
    sites: dict[str, str] = field(default_factory=dict)  # gateway -> name of its site
    findings: list[FindingLine] = field(default_factory=list)
    collector_key: str = ""  # that signed the list of sums
    faults: list[str] = field(default_factory=list)


@contextmanager
def opened(path: Path, keys: Sequence[str]) -> Iterator[Source]:
    """Open a file of any of the three kinds; ``keys`` are those that the caller trusts, instead of the file's own.

    Raises :class:`InputError` where it is none of them, :class:`EvidenceError` where it cannot be read any more.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(16)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if magic.startswith(b"PK"):
        with _archive(path) as archive:
            yield _EvidenceFile(archive, keys).source()
    elif magic == b"SQLite format 3\0":
        with _database(path, keys) as source:
            yield source
    else:
        raise InputError(f"{path}: is no evidence file, no spool and no collector's database")


@contextmanager
def _database(path: Path, keys: Sequence[str]) -> Iterator[Source]:
    if is_spool(path):
        if not keys:
            raise InputError(f"{path}: a spool holds no public key; name the gateway's with --key")
        with reading_spool(path) as spool:
            segment = Segment(
                gateway=spool.gateway,
                stream=spool.stream,
                first_seq=spool.below + 1,
                head=spool.head,
                last_seq=spool.last_seq,
                keys=tuple(keys),
                lines=spool.lines,
            )
            yield Source(kind="spool", segments=[segment])
        return
    with translated(path), closing(open_reader(path)) as db:
        db.execute("BEGIN")
        stored = Segments(db)
        yield Source(kind="database", segments=[_stored(stored, run, keys) for run in stored.all()])


def _stored(stored: Segments, run: Run, keys: Sequence[str]) -> Segment:
    return Segment(
        gateway=run.gateway,
        stream=run.stream,
        first_seq=run.first_seq,
        head=run.head,
        last_seq=run.last_seq,
        highest=run.highest,
        keys=tuple(keys) or stored.keys(run.gateway),
        lines=lambda: stored.lines(run),
    )


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type not in _PACKED for member in archive.infolist()):
                raise zipfile.BadZipFile("a member is packed in another way than flatwatt export does")
            yield archive
    except _DAMAGES as error:
        raise EvidenceError(f"{path}: cut off or damaged: {error}") from None


class _EvidenceFile:
    def __init__(self, archive: zipfile.ZipFile, keys: Sequence[str]) -> None:
        self._archive = archive
        self._trusted = tuple(keys)
        self._names = archive.namelist()
        self._faults: list[str] = []

    def source(self) -> Source:
        collector_key = self._check_sums()
        contents = self._contents()
        self._check_names(contents)
        return Source(
            kind="evidence",
            period=(contents.from_s, contents.to_s),
            sites={one.gateway: one.site for one in contents.gateways},
            segments=[self._segment(contents, place) for place in range(len(contents.streams))],
            findings=self._findings(),
            collector_key=collector_key,
            faults=self._faults,
        )

    def _check_sums(self) -> str:
        """Hold every member against the list of sums, and the list against its signature."""
        sums = self._small(members.SUMS)
        listed = {name: digest for digest, name in _SUM_LINE.findall(sums.decode(errors="replace"))}
        rest = {members.SUMS, members.SIGNATURE}
        if members.sums_text(listed) != sums:
            self._faults.append(f"{members.SUMS} is no list of sums")
        if len(set(self._names)) != len(self._names) or set(self._names) - rest != set(listed):
            strange = sorted((set(self._names) - rest) ^ set(listed)) or ["a name that stands twice"]
            self._faults.append(f"the members are not those of {members.SUMS}: {', '.join(strange[:5])}")
        for name, digest in sorted(listed.items()):
            if name in self._names and self._sum(name) != digest:
                self._faults.append(f"{name} is not the one that the collector listed: altered after the export")
        return self._check_signature(sums)

    def _check_names(self, contents: Contents) -> None:
        """Nothing may look like evidence and be passed over, and no key bear the short name of another."""
        streams = {
            name(one.gateway, one.stream) for one in contents.streams for name in (members.records_of, members.heads_of)
        }
        for member in sorted(set(self._names)):
            if member.startswith(("records/", "heads/")) and member not in streams:
                self._faults.append(f"{member} is not among the streams of {members.CONTENTS}: it was not checked")
            if member.startswith("keys/") and not member.endswith(f".{self._key_id(member)}.pem"):
                self._faults.append(f"{member} holds another key than its name says")

    def _check_signature(self, sums: bytes) -> str:
        try:
            key = _public_text(self._small(members.COLLECTOR))
            chain.verify(key, sums, base64.b64encode(self._small(members.SIGNATURE)).decode())
        except EvidenceError:
            self._faults.append(f"{members.SUMS} is not signed by {members.COLLECTOR}")
            return ""
        return key

    def _sum(self, name: str) -> str:
        digest = hashlib.sha256()
        try:
            with self._archive.open(name) as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        except _DAMAGES as error:
            return f"damaged: {error}"
        return digest.hexdigest()

    def _small(self, name: str) -> bytes:
        """Read a member whole; nothing where it is not there."""
        if name not in self._names:
            return b""
        try:
            with self._archive.open(name) as file:
                return file.read(members.MOST_BYTES)
        except _DAMAGES:
            return b""

    def _contents(self) -> Contents:
        try:
            contents = msgspec.json.decode(self._small(members.CONTENTS), type=Contents)
            if not 0 <= contents.from_s < contents.to_s <= _TIME_MOST_S:
                raise ValueError("the period is none")
            for stream in contents.streams:
                if len(bytes.fromhex(stream.head)) != 32:
                    raise ValueError("a chain head has 32 bytes")
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise EvidenceError(f"{members.CONTENTS}: missing or damaged: {error}") from None
        return contents

    def _segment(self, contents: Contents, place: int) -> Segment:
        stream = contents.streams[place]
        own = (self._key(stream.gateway, key_id) for key_id in stream.keys)
        return Segment(
            gateway=stream.gateway,
            stream=stream.stream,
            first_seq=stream.first_seq,
            head=bytes.fromhex(stream.head),
            last_seq=stream.last_seq,
            keys=self._trusted or tuple(key for key in own if key),
            lines=lambda: self._lines(stream.gateway, stream.stream),
        )

    def _key(self, gateway: str, key_id: str) -> str:
        try:
            return _public_text(self._small(members.key_of(gateway, key_id)))
        except EvidenceError:
            return ""

    def _key_id(self, member: str) -> str:
        try:
            return chain.key_id(_public_text(self._small(member)))
        except EvidenceError:
            return ""

    def _lines(self, gateway: str, stream: str) -> Iterator[Line]:
        records, heads = members.records_of(gateway, stream), members.heads_of(gateway, stream)
        if records not in self._names:
            return
        notes = self._notes(heads)
        try:
            with self._archive.open(records) as file, io.BufferedReader(file, _BLOCK) as lines:  # type: ignore[type-var]
                while line := lines.readline(members.LINE_MOST + 1):
                    yield line.removesuffix(b"\n"), next(notes, None)
        except _DAMAGES as error:
            raise EvidenceError(f"{records} cannot be unpacked: {error}") from None

    def _notes(self, name: str) -> Iterator[bytes | None]:
        if name not in self._names:
            return
        try:
            with self._archive.open(name) as file, io.BufferedReader(file, _BLOCK) as lines:  # type: ignore[type-var]
                while line := lines.readline(_NOTE_MOST):
                    yield _note(line)
        except _DAMAGES:
            return  # the list of sums says so; the records prove themselves without notes

    def _findings(self) -> list[FindingLine]:
        try:
            return list(self._told_findings())
        except (msgspec.DecodeError, ValueError, RecursionError, *_DAMAGES):
            self._faults.append(f"{members.FINDINGS} cannot be read")
            return []

    def _told_findings(self) -> Iterator[FindingLine]:
        """Give the findings without the bytes that contradict: there may be more of these than memory."""
        if members.FINDINGS not in self._names:
            return
        with self._archive.open(members.FINDINGS) as file, io.BufferedReader(file, _BLOCK) as lines:  # type: ignore[type-var]
            while line := lines.readline(_FINDING_MOST):
                finding = msgspec.json.decode(line, type=FindingLine)
                finding.evidence = ""
                yield finding


def _note(line: bytes) -> bytes | None:
    try:
        return bytes.fromhex(line.decode().strip()) or None
    except ValueError:  # a UnicodeDecodeError is one
        return None


def _public_text(pem: bytes) -> str:
    """Give a public key as messages hold it: what stands between the lines of a PEM file."""
    text = "".join(pem.decode(errors="replace").split("\n")[1:-2])
    chain.load_public(text)
    return text
