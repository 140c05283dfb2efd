"""Does what arrived join its chain, and did the gateway sign it.

What contradicts is never thrown away in silence: it becomes a finding.
"""

import hashlib
import logging
from collections.abc import Iterable

from agent.deliver import chain, wire
from agent.errors import EvidenceError
from collector.ingest.reading import stored_record
from collector.store.findings import Finding
from collector.store.ledger import Ledger, Stream

CONFESSIONS = frozenset({"clock_doubt", "spool_rolled_back"})  # events in which a gateway doubts itself
_TEXT_MOST = 500  # letters of a gateway's own words

_log = logging.getLogger(__name__)


def report(ledger: Ledger, finding: Finding) -> bool:
    """Note a finding, and say it in the log when it is new; gives whether it is."""
    if is_new := ledger.findings.add(finding):
        _log.warning("gateway %s: %s: %s", finding.gateway, finding.kind, finding.text)
    return is_new


def extend(ledger: Ledger, stream: Stream, *, healed: bool) -> None:
    """Carry the chain over all records that are contiguous and over declared gaps; it waits at the first hole.

    A suspect stream waits until bytes of its range were replaced (``healed``), or are declared lost.
    """
    while True:
        if healed or not stream.suspect:
            _join(ledger, stream)
        gap = ledger.gaps.over(stream.gateway, stream.stream, stream.through, stream.suspect)
        if gap is None:
            return
        stream.through, stream.head = gap.through_seq, gap.head
        if stream.through >= stream.suspect:
            stream.suspect = 0


def _join(ledger: Ledger, stream: Stream) -> None:
    heads: list[tuple[int, bytes]] = []
    for seq, payload in ledger.after(stream):
        if seq != stream.through + 1:
            break
        stream.through, stream.head = seq, chain.next_head(stream.head, payload)
        heads.append((seq, stream.head))
    ledger.set_heads(stream, heads)


def is_signed(ledger: Ledger, stream: Stream, gap: wire.Gap) -> bool:
    """Say whether the gateway's key signed a gap."""
    text = chain.gap_text(gap.gateway, gap.stream, gap.from_seq, gap.through_seq, gap.head, gap.time_s)
    return _signer(ledger, stream, text, gap.sig) is not None


def declare_gaps(ledger: Ledger, stream: Stream, payloads: Iterable[bytes], now_s: int) -> None:
    """Believe each gap record that the gateway's key signed; its own signature makes it good before its turn."""
    for payload in payloads:
        gap = stored_record(payload)
        assert isinstance(gap, wire.Gap)
        if not is_signed(ledger, stream, gap):
            why = f"gap {gap.seq} is not signed by the gateway's key, and nothing is taken for lost"
            report(ledger, _finding("signature", stream, gap.seq, gap.seq, why, payload, now_s))
            continue
        ledger.declare(gap)
        ledger.findings.resolve_range(stream.gateway, stream.stream, "signature", gap.seq, gap.seq, now_s)
        kind, why = ("lost", _lost(gap)) if _is_our_loss(ledger, stream, gap) else ("gap", _dropped(gap))
        report(ledger, _finding(kind, stream, gap.from_seq, gap.through_seq, why, payload, now_s))


def _is_our_loss(ledger: Ledger, stream: Stream, gap: wire.Gap) -> bool:
    """Say whether our own database was lost or set back: the gateway holds our receipt, and we have not all of it."""
    here = ledger.count(stream, gap.from_seq - 1, gap.through_seq)
    return gap.cause == "collector_rolled_back" and here <= gap.through_seq - gap.from_seq


def _lost(gap: wire.Gap) -> str:
    return f"of the records {gap.from_seq} to {gap.through_seq}, which were receipted, some are not here any more"


def _dropped(gap: wire.Gap) -> str:
    lost = f"records {gap.from_seq} to {gap.through_seq} were dropped before they arrived ({gap.cause[:40]})"
    meters = "1 meter" if len(gap.totals) == 1 else f"{len(gap.totals)} meters"
    return lost + (f"; totals of {meters} are left" if gap.totals else "")


def check(ledger: Ledger, stream: Stream, now_s: int) -> None:
    """Hold each new checkpoint against the gateway's key and against our own chain head.

    Where a properly signed head differs, some record since the last good checkpoint was altered
    on its way. The stream goes back to that checkpoint, so its receipt asks for the range again.
    What is declared lost cannot be asked for: there the contradiction stands.
    """
    for seq, payload in ledger.checkpoints(stream):
        checkpoint = stored_record(payload)
        assert isinstance(checkpoint, wire.Checkpoint)
        stream.checked = seq
        text = chain.checkpoint_text(
            checkpoint.gateway, checkpoint.stream, checkpoint.through, checkpoint.head, checkpoint.time_s
        )
        signer = _signer(ledger, stream, text, checkpoint.sig)
        if signer is None:
            why = f"checkpoint {seq} is not signed by the gateway's key"
            report(ledger, _finding("signature", stream, seq, seq, why, payload, now_s))
            continue
        ours = ledger.head_at(stream, checkpoint.through)
        if ours is None:
            continue  # it arrived though it is lost: the chain was carried over it
        if ours.hex() == checkpoint.head:
            _confirm(ledger, stream, checkpoint, signer, now_s)
            continue
        report(ledger, _altered(stream, checkpoint, payload, now_s))
        if not ledger.gaps.covers(stream.gateway, stream.stream, seq):
            _go_back(ledger, stream, checkpoint.through)
            return


def _signer(ledger: Ledger, stream: Stream, text: bytes, signature: str) -> str | None:
    """Give the key of the gateway that made a signature.

    The pinned one, or the one that signed this stream so far; of a stream that has no confirmed
    checkpoint yet, any that the gateway ever had: its records may arrive after the next key.
    """
    pinned = ledger.gateways.public_key(stream.gateway)
    before = [stream.public_key] if stream.public_key else ledger.gateways.keys(stream.gateway)
    for key in dict.fromkeys([pinned, *before]):
        try:
            if key is not None:
                chain.verify(key, text, signature)
                return key
        except EvidenceError:
            continue
    return None


def _altered(stream: Stream, checkpoint: wire.Checkpoint, payload: bytes, now_s: int) -> Finding:
    first = min(stream.verified + 1, checkpoint.through)
    what = f"one of the records {first} to" if first < checkpoint.through else "record"
    why = f"{what} {checkpoint.through} is not as the gateway signed it: altered on its way"
    return _finding("chain", stream, first, checkpoint.through, why, payload, now_s)


def _go_back(ledger: Ledger, stream: Stream, suspect: int) -> None:
    head = ledger.head_at(stream, stream.verified)
    assert head is not None
    stream.through, stream.head, stream.checked = stream.verified, head, stream.verified
    stream.suspect = max(stream.suspect, suspect)
    extend(ledger, stream, healed=False)  # what is declared lost is not asked for


def _confirm(ledger: Ledger, stream: Stream, checkpoint: wire.Checkpoint, signer: str, now_s: int) -> None:
    seq, place = checkpoint.seq, (stream.gateway, stream.stream)
    _follow_keys(ledger, stream, checkpoint.through, signer, now_s)
    stream.verified, stream.public_key = seq, signer
    ledger.findings.resolve_range(*place, "signature", seq, seq, now_s)
    if stream.suspect and seq > stream.suspect:
        ledger.findings.resolve_range(*place, "chain", 1, seq, now_s)
        stream.suspect = 0


def _follow_keys(ledger: Ledger, stream: Stream, through: int, signer: str, now_s: int) -> None:
    """Pin the next key that the gateway named under the pinned one."""
    for payload in ledger.rotations(stream, stream.verified, through):
        event = stored_record(payload)
        assert isinstance(event, wire.Event)
        key = event.data.get("public_key")
        if signer != ledger.gateways.public_key(stream.gateway) or not isinstance(key, str) or not _usable(key):
            continue
        ledger.gateways.pin(stream.gateway, key, "rotated", now_s)
        ledger.findings.resolve(stream.gateway, "key", now_s)
        _log.info("gateway %s: signs with key %s from now on, as its old key says", stream.gateway, chain.key_id(key))


def _usable(public_key: str) -> bool:
    """Say whether this is a P-256 key."""
    try:
        chain.load_public(public_key)
    except EvidenceError:
        return False
    return True


def fork(gateway: str, record: wire.Record, kept: bytes, other: bytes, now_s: int) -> Finding:
    """Describe one number that was used for two different records: a clone, a restored disk, or an alteration."""
    hashes = " and ".join(sorted(hashlib.sha256(payload).hexdigest()[:16] for payload in (kept, other)))
    why = f"record {record.seq} came twice with different bytes (SHA-256 {hashes}): a cloned gateway or an alteration"
    return Finding(
        gateway=gateway, stream=record.stream, seq=record.seq, to_seq=record.seq, kind="fork", text=why,
        evidence=other, time_s=now_s,
    )  # fmt: skip


def check_confession(ledger: Ledger, stream: Stream, now_s: int) -> None:
    """Take over that a gateway found its spool set back: a receipt told it of records that it does not know."""
    for payload in ledger.newest_events(stream, "spool_rolled_back", 1):
        event = stored_record(payload)
        report(ledger, _finding("rollback", stream, event.seq, event.seq, _text_of(event), payload, now_s))


def check_clock(ledger: Ledger, stream: Stream, now_s: int) -> None:
    """Take over a gateway's own doubt in its clock, and its end, in whatever order they arrive."""
    for payload in ledger.newest_events(stream, "clock_doubt", 2):
        event = stored_record(payload)
        assert isinstance(event, wire.Event)
        if event.data.get("state") == "cleared":
            ledger.findings.resolve_range(stream.gateway, stream.stream, "clock", 1, event.seq, now_s)
            return
        report(ledger, _finding("clock", stream, event.seq, event.seq, _text_of(event), payload, now_s))


def _text_of(event: wire.Record) -> str:
    return event.text[:_TEXT_MOST] if isinstance(event, wire.Event) else ""


def _finding(kind: str, stream: Stream, seq: int, to_seq: int, text: str, evidence: bytes, now_s: int) -> Finding:
    return Finding(
        gateway=stream.gateway, stream=stream.stream, seq=seq, to_seq=to_seq, kind=kind, text=text,
        evidence=evidence, time_s=now_s,
    )  # fmt: skip
