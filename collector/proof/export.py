"""Write an evidence file from a collector's database, while the collector may go on writing it."""

import base64
import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from agent.deliver import chain, wire
from agent.deliver.identity.keys import public_pem
from agent.errors import EvidenceError, InputError
from collector.proof import members
from collector.proof.members import Contents, FindingLine, GatewayContents, StreamContents
from collector.store.database import open_reader, translated
from collector.store.segments import Run, Segments

_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell: the same content gives the same bytes
_MODE = 0o100644 << 16
_LEVEL = 6

Sign = Callable[[bytes], bytes]


def export(
    database: Path,
    target: Path,
    *,
    gateways: Sequence[str],
    site: str | None,
    from_s: int,
    to_s: int,
    collector_key: str,
    sign: Sign,
) -> Contents:
    """Write the records of a period, with what proves them; gives what is in the file.

    Raises :class:`InputError` where no gateway of that name is known, or the period holds nothing.
    """
    draft = target.with_name(f"{target.name}.new")
    try:
        with translated(database), closing(open_reader(database)) as db:
            db.execute("BEGIN")
            segments = Segments(db)
            chosen = _chosen(segments, gateways, site)
            runs = [run for gateway in chosen for run in segments.of_period(gateway, from_s, to_s)]
            if not runs:
                raise InputError("--from, --to: nothing is stored of this period")
            with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
                contents = _fill(_Members(archive), segments, chosen, runs, (from_s, to_s), collector_key, sign)
        draft.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return contents


class _Members:
    """Adds members to a zip and sums them."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.sums: dict[str, str] = {}

    def add(self, name: str, parts: Iterable[bytes]) -> None:
        member = zipfile.ZipInfo(name, _DATE)
        member.compress_type, member.external_attr, member.create_system = zipfile.ZIP_DEFLATED, _MODE, 3
        digest = hashlib.sha256()
        with self._archive.open(member, "w", force_zip64=True) as file:
            for part in parts:
                digest.update(part)
                file.write(part)
        self.sums[name] = digest.hexdigest()


def _chosen(segments: Segments, gateways: Sequence[str], site: str | None) -> dict[str, GatewayContents]:
    known = {name: _named(name, status) for name, status in segments.gateways().items()}
    chosen = {name: one for name, one in known.items() if name in gateways or (site is not None and one.site == site)}
    if not chosen:
        names = ", ".join(sorted({one.site for one in known.values()} if site is not None else known)[:20]) or "none"
        option = f"--site: {site!r}" if site is not None else f"--gateway: {gateways[0]!r}"
        raise InputError(f"{option} is not known; known are {names}")
    return chosen


def _named(gateway: str, payload: bytes) -> GatewayContents:
    try:
        status = wire.decode(payload)
    except EvidenceError:
        status = None
    if not isinstance(status, wire.Status):
        return GatewayContents(gateway=gateway, name="", site="")
    return GatewayContents(gateway=gateway, name=status.name, site=status.site)


def _fill(
    archive: _Members,
    segments: Segments,
    gateways: dict[str, GatewayContents],
    runs: Sequence[Run],
    period: tuple[int, int],
    collector_key: str,
    sign: Sign,
) -> Contents:
    keys = {gateway: segments.keys(gateway) for gateway in gateways}
    contents = Contents(
        v=1,
        kind="evidence",
        from_s=period[0],
        to_s=period[1],
        gateways=list(gateways.values()),
        streams=[_stream(run, keys[run.gateway]) for run in runs],
    )
    archive.add(members.README, [members.README_TEXT.encode()])
    archive.add(members.CONTENTS, [msgspec.json.format(msgspec.json.encode(contents)) + b"\n"])
    archive.add(members.COLLECTOR, [public_pem(collector_key)])
    archive.add(members.FINDINGS, (line for gateway in gateways for line in _findings(segments, gateway)))
    for gateway, of_gateway in keys.items():
        for key in of_gateway:
            archive.add(members.key_of(gateway, chain.key_id(key)), [public_pem(key)])
    for run in runs:
        _add_records(archive, segments, run)
    sums = members.sums_text(archive.sums)
    archive.add(members.SUMS, [sums])
    archive.add(members.SIGNATURE, [sign(sums)])
    return contents


def _stream(run: Run, keys: Sequence[str]) -> StreamContents:
    return StreamContents(
        gateway=run.gateway,
        stream=run.stream,
        first_seq=run.first_seq,
        last_seq=run.last_seq,
        head=run.head.hex(),
        keys=[chain.key_id(key) for key in keys],
    )


def _add_records(archive: _Members, segments: Segments, run: Run) -> None:
    archive.add(members.records_of(run.gateway, run.stream), (payload + b"\n" for payload, _ in segments.lines(run)))
    noted = ((head[: members.NOTED].hex() if head else "-") for _, head in segments.lines(run))
    archive.add(members.heads_of(run.gateway, run.stream), (f"{note}\n".encode() for note in noted))


def _findings(segments: Segments, gateway: str) -> Iterable[bytes]:
    for row in segments.findings(gateway):
        line = FindingLine(
            gateway=row["gateway"],
            stream=row["stream"],
            seq=row["seq"],
            to_seq=row["to_seq"],
            kind=row["kind"],
            text=row["text"],
            time_s=row["time_s"],
            resolved_s=row["resolved_s"],
            evidence=base64.b64encode(row["evidence"]).decode(),
        )
        yield msgspec.json.encode(line) + b"\n"
