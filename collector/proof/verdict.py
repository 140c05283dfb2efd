"""What a check has found, in words for an auditor and as an object for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.deliver import chain
from collector.proof.members import FindingLine
from collector.proof.source import Source
from collector.proof.walk import Followed

PROVES = "It proves that nothing was altered, left out, put in or reordered after the gateway signed it."
PROVES_NOT = "It does not prove that a meter told the truth, nor who owns a key: compare the keys with their owners'."
GAPS_SHOWN = 5
INFORMATION = "gap"  # a finding that is no contradiction: what was lost is said openly, and signed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a check: of the file as a whole, and of each stream."""

    source: Source
    followed: Sequence[Followed]

    @property
    def ok(self) -> bool:
        """Whether everything fits, and something was there to fit. Evidence that nobody signed is none."""
        unsigned = self.source.kind == "evidence" and not all(one.proved for one in self.followed)
        return not (self.source.faults or unsigned or any(one.fault for one in self.followed)) and bool(self.followed)

    @property
    def _is_anything(self) -> bool:
        return any(one.records for one in self.followed)

    def lines(self) -> Iterator[str]:
        """Give the sentences; what a file says in them cannot steer a terminal, nor add a line of its own."""
        for line in self._lines():
            yield "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)

    def _lines(self) -> Iterator[str]:
        source = self.source
        if source.period:
            of = ", ".join(f"{gateway} ({site})" if site else gateway for gateway, site in source.sites.items())
            yield f"evidence of {of}, {_time(source.period[0])} to {_time(source.period[1])}"
        for fault in source.faults:
            yield f"ALTERED: {fault}"
        if source.collector_key and not source.faults:
            yield f"file: as the collector with key {chain.key_id(source.collector_key)} signed it"
        for one in self.followed:
            yield from _stream(one)
        contradictions = open_findings(source.findings)
        for finding in contradictions:
            yield f"the collector found, and it is not settled: {finding.gateway}: {finding.kind}: {finding.text}"
        yield self._sum()
        if self.ok and self._is_anything:
            yield PROVES
            yield PROVES_NOT

    def _sum(self) -> str:
        if not self.followed:
            return "NOT VERIFIED: there is no stream in it"
        if self.ok and not self._is_anything:
            return "NOTHING TO VERIFY: every record was receipted and left the spool"
        return "VERIFIED" if self.ok else "NOT VERIFIED"

    def as_object(self) -> dict[str, object]:
        """Give the same for a program."""
        source = self.source
        return {
            "ok": self.ok,
            "kind": source.kind,
            "from_s": source.period[0] if source.period else None,
            "to_s": source.period[1] if source.period else None,
            "collector_key": chain.key_id(source.collector_key) if source.collector_key else None,
            "faults": source.faults,
            "streams": [_stream_object(one) for one in self.followed],
            "open_findings": [
                {"gateway": one.gateway, "stream": one.stream, "seq": one.seq, "kind": one.kind, "text": one.text}
                for one in open_findings(source.findings)
            ],
        }


def open_findings(findings: Sequence[FindingLine]) -> list[FindingLine]:
    """Give the contradictions that nothing has settled."""
    return [one for one in findings if one.resolved_s is None and one.kind != INFORMATION]


def _stream(one: Followed) -> Iterator[str]:
    name = f"{one.gateway}, stream {one.stream}"
    if one.fault:
        yield f"{one.fault.what.upper()}: {name}, record {one.fault.seq}: {one.fault.text}"
    what = f"records {one.first_seq} to {one.last_seq}" if one.records else "no record"
    yield f"{name}: {what}, {_signed(one)}"
    for first, last in one.gaps[:GAPS_SHOWN]:
        yield f"  records {first} to {last} are declared lost, and that is signed"
    if one.unproved:
        yield f"  {one.unproved} records between a checkpoint and the end of a gap: no signature covers them"
    if one.highest > one.last_seq:
        yield f"  records after {one.last_seq}, up to {one.highest}: some are missing, so the chain does not reach them"
    if not one.fault and one.proved < one.last_seq:
        yield f"  records after {one.proved}: the checkpoint that would sign them is not here"


def _signed(one: Followed) -> str:
    if not one.checkpoints:
        return "of which no checkpoint signs any"
    keys = " and then ".join(chain.key_id(key) for key in one.keys)
    return f"signed up to {one.proved} by {one.checkpoints} checkpoints of key {keys}"


def _stream_object(one: Followed) -> dict[str, object]:
    fault = one.fault
    return {
        "gateway": one.gateway,
        "stream": one.stream,
        "first_seq": one.first_seq,
        "last_seq": one.last_seq,
        "records": one.records,
        "checkpoints": one.checkpoints,
        "proved": one.proved,
        "keys": [chain.key_id(key) for key in one.keys],
        "gaps": [list(gap) for gap in one.gaps],
        "fault": {"seq": fault.seq, "what": fault.what, "text": fault.text} if fault else None,
    }


def _time(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M} UTC"
