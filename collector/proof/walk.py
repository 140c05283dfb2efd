"""Follow one stream record by record: numbering, chain, signatures, gaps, keys; name the first that does not fit.

A record alone proves nothing: the hash chain joins it to the next checkpoint, and that is signed. An
altered record therefore shows at the checkpoint after it. Where a note of the chain head after each
record is at hand, it says which record it was; the note itself is believed only as far as the
signatures agree with it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeGuard, TypeVar

from agent.deliver import chain, wire
from agent.errors import EvidenceError
from collector.proof.line import Head, described, head_of

Line = tuple[bytes, bytes | None]  # payload, and the first bytes of the chain head after it, where they are noted

REMEMBERED = 65_536  # records whose hash is kept to tell a copy from a fork: half a megabyte
DECLARING = frozenset({"start", "restart", "spool_corrupt", "storage"})  # events that say why a stream begins
OPENING = 20  # records within which a new stream must say so: it is the first thing that a gateway tells


T = TypeVar("T", wire.Checkpoint, wire.Gap, wire.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of records of one stream, and from where it is followed. ``lines`` may be asked for again."""

    gateway: str
    stream: str
    first_seq: int
    head: bytes  # chain head after record first_seq - 1; the first checkpoint confirms it, or does not
    last_seq: int | None  # of the last record that must be there; None where the source does not say
    highest: int = 0  # largest number that the source has seen, if more: what lies between is not joined yet
    keys: tuple[str, ...]  # public keys that may sign first; later ones must be named by a record
    lines: Callable[[], Iterable[Line]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first record that does not fit. ``what``: altered, missing, reordered, duplicated, forked and so on."""

    gateway: str
    stream: str
    seq: int
    what: str
    text: str


@dataclass(slots=True, kw_only=True)
class Followed:
    """What was found in a segment. ``proved`` is the last record that a valid signature covers, 0 for none."""

    gateway: str
    stream: str
    first_seq: int
    highest: int = 0
    last_seq: int = 0
    records: int = 0
    checkpoints: int = 0
    proved: int = 0
    keys: list[str] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    unproved: int = 0  # records between a checkpoint and the end of a declared gap: nothing signs them
    fault: Fault | None = None


class _DoesNotFitError(Exception):
    def __init__(self, seq: int, what: str, text: str) -> None:
        super().__init__(text)
        self.seq, self.what, self.text = seq, what, text


def follow(segment: Segment, tick: Callable[[Iterable[Line]], Iterable[Line]] = lambda lines: lines) -> Followed:
    """Follow a segment to its end, or to the first record that does not fit."""
    walk = _Walk(segment)
    try:
        for payload, note in tick(segment.lines()):
            walk.take(payload, note)
        walk.end()
    except EvidenceError as error:
        walk.found.fault = Fault(
            gateway=segment.gateway, stream=segment.stream, seq=walk.expected, what="damaged", text=str(error)
        )
    except _DoesNotFitError as wrong:
        walk.found.fault = Fault(
            gateway=segment.gateway, stream=segment.stream, seq=wrong.seq, what=wrong.what, text=wrong.text
        )
    return walk.found


class _Walk:
    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self.expected = segment.first_seq
        self._head = segment.head
        self._before = segment.head  # the head before the last record
        self._hashes = [0] * REMEMBERED
        self._seen = segment.first_seq - 1  # number of the last record, chained or not
        self._unsigned = 0  # records since the last checkpoint: a gap carries the chain over them, too
        self._keys = segment.keys
        self._next_key = ""  # named by a record, good once the present key has signed that record
        self._doubtful = 0  # the first record whose noted head is another,
        self._doubtful_is = ""  # and what it tells of
        self._is_declared = segment.first_seq > 1
        self._gaps: list[wire.Gap] | None = None  # those of the whole segment, read when the first hole is met
        self.found = Followed(
            gateway=segment.gateway, stream=segment.stream, first_seq=segment.first_seq, highest=segment.highest
        )

    def take(self, payload: bytes, note: bytes | None) -> None:
        head = self._read(payload)
        if head.seq != self.expected and not self._find_place(head.seq, payload):
            return
        self._before, self._head = self._head, chain.next_head(self._head, payload)
        self._note_seen(head.seq, payload)
        self._unsigned += 1
        self.expected = head.seq + 1
        self.found.records += 1
        self.found.last_seq = head.seq
        if note is not None and not self._doubtful and not self._head.startswith(note):
            self._doubtful, self._doubtful_is = head.seq, described(payload)
        if head.kind == "checkpoint":
            self._check(payload, head.seq)
        elif head.kind in ("gap", "event"):
            self._read_on(payload, head)
        if not self._is_declared and (head.kind == "summary" or head.seq > OPENING):
            raise _DoesNotFitError(1, "undeclared", "a stream begins, and no event says why: start or spool_corrupt")

    def end(self) -> None:
        last = self._segment.last_seq
        while last is not None and self.expected <= last:
            if not self._carry_over():
                raise _DoesNotFitError(
                    self.expected, "missing", f"records {self.expected} to {last} are missing at the end"
                )
        if self._doubtful:
            raise self._noted_otherwise()

    def _read(self, payload: bytes) -> Head:
        try:
            head = head_of(payload)
        except ValueError as error:
            raise _DoesNotFitError(self.expected, "altered", f"it cannot be read: {error}") from None
        if head.stream != self._segment.stream:
            raise _DoesNotFitError(self.expected, "foreign", f"a record of stream {head.stream[:64]} in its place")
        return head

    # Numbering

    def _note_seen(self, seq: int, payload: bytes) -> None:
        self._seen = seq
        self._hashes[seq % REMEMBERED] = hash(payload)

    def _find_place(self, seq: int, payload: bytes) -> bool:
        """Judge a number that is not the next one: True where it is, behind declared gaps; False to pass it over."""
        while seq > self.expected:
            if not self._carry_over():
                raise self._hole(seq)
        if seq == self.expected:
            return True
        if seq > self._seen:  # within the gap that was just passed
            self._note_seen(seq, payload)
            self.found.unproved += 1
            return False
        is_late = any(first <= seq <= last for first, last in self.found.gaps) and seq != self._seen
        if is_late or seq < self._segment.first_seq:
            raise _DoesNotFitError(seq, "reordered", f"it stands behind record {self.expected - 1}")
        same = seq > self.expected - REMEMBERED and self._hashes[seq % REMEMBERED] == hash(payload)
        if same:
            why = f"{described(payload)}: it stands a second time, behind record {self.expected - 1}"
            raise _DoesNotFitError(seq, "duplicated", why)
        raise _DoesNotFitError(seq, "forked", f"one number, two different records; this one is a {described(payload)}")

    def _hole(self, seq: int) -> _DoesNotFitError:
        """Say whether the record that should be next is missing, or stands elsewhere."""
        wanted = self.expected
        for payload, _ in self._segment.lines():
            if f'"seq":{wanted},'.encode() in payload and self._read(payload).seq == wanted:
                return _DoesNotFitError(wanted, "reordered", f"record {seq} stands before it")
        lost = f"records {wanted} to {seq - 1} are" if seq - 1 > wanted else f"record {wanted} is"
        return _DoesNotFitError(wanted, "missing", f"{lost} missing, and no signed gap says so")

    def _carry_over(self) -> bool:
        """Carry the chain over a signed gap that the next record lies in; False where there is none."""
        if self._gaps is None:
            self._gaps = list(self._signed_gaps())
        here = [gap for gap in self._gaps if gap.from_seq <= self.expected <= gap.through_seq]
        if not here:
            return False
        gap = max(here, key=lambda one: one.through_seq)
        self.found.gaps.append((self.expected, gap.through_seq))
        self.expected, self._head = gap.through_seq + 1, bytes.fromhex(gap.head)
        self.found.unproved, self._unsigned = self.found.unproved + self._unsigned, 0
        self._is_declared = True
        return True

    def _signed_gaps(self) -> Iterator[wire.Gap]:
        for payload, _ in self._segment.lines():
            if b'"kind":"gap"' in payload:
                try:
                    gap = wire.decode(payload)
                    if isinstance(gap, wire.Gap):
                        self._check_gap(gap)
                        yield gap
                except (EvidenceError, _DoesNotFitError):
                    continue  # where its turn comes, it is named

    # Signatures

    def _check(self, payload: bytes, seq: int) -> None:
        checkpoint = self._decode(payload, wire.Checkpoint)
        if checkpoint.gateway != self._segment.gateway or checkpoint.through != seq - 1:
            raise _DoesNotFitError(seq, "altered", f"the checkpoint speaks of {checkpoint.gateway[:32]}")
        text = chain.checkpoint_text(
            checkpoint.gateway, checkpoint.stream, checkpoint.through, checkpoint.head, checkpoint.time_s
        )
        signer = self._signer(text, checkpoint.sig)
        is_head = checkpoint.head == self._before.hex()
        if self._doubtful and not (signer and is_head):
            why = f"{self._doubtful_is}: its hash is another; checkpoint {seq} confirms that"
            raise _DoesNotFitError(self._doubtful, "altered", why)
        if signer is None:
            known = ", ".join(chain.key_id(key) for key in self._keys) or "none"
            raise _DoesNotFitError(seq, "unsigned", f"the checkpoint is not signed by the gateway's key ({known})")
        if not is_head:
            raise self._altered_before(seq)
        if self._doubtful and self._doubtful < seq:
            raise self._noted_otherwise()
        self._confirm(seq, signer)

    def _altered_before(self, seq: int) -> _DoesNotFitError:
        first = max(self.found.proved + 1, self._segment.first_seq)
        which = f"one of the records {first} to {seq - 1}" if first < seq - 1 else f"record {seq - 1}"
        return _DoesNotFitError(first, "altered", f"{which} is not as checkpoint {seq} signed it")

    def _noted_otherwise(self) -> _DoesNotFitError:
        why = f"{self._doubtful_is}: the chain head that is noted for it is another, and no signature decides"
        return _DoesNotFitError(self._doubtful, "altered", why)

    def _confirm(self, seq: int, signer: str) -> None:
        self.found.checkpoints += 1
        self.found.proved = seq
        self._unsigned = 0
        if signer not in self.found.keys:
            self.found.keys.append(signer)
        self._keys = self._keys[self._keys.index(signer) :]  # an earlier key signs no more
        if self._next_key:
            self._keys, self._next_key = (*self._keys, self._next_key), ""

    def _read_on(self, payload: bytes, head: Head) -> None:
        """Read what else steers the walk: gaps, the next key, why a stream begins."""
        if head.kind == "gap":
            self._check_gap(self._decode(payload, wire.Gap))
            return
        event = self._decode(payload, wire.Event)
        if event.event == "key_rotated" and _is_key(key := event.data.get("public_key")):
            self._next_key = key
        self._is_declared = self._is_declared or event.event in DECLARING

    def _check_gap(self, gap: wire.Gap) -> None:
        text = chain.gap_text(gap.gateway, gap.stream, gap.from_seq, gap.through_seq, gap.head, gap.time_s)
        sound = len(gap.head) == 64 and gap.gateway == self._segment.gateway and gap.through_seq < gap.seq
        if not sound or gap.stream != self._segment.stream or self._signer(text, gap.sig) is None:
            if self._doubtful:
                raise _DoesNotFitError(self._doubtful, "altered", f"its hash is another; gap {gap.seq} does not fit")
            raise _DoesNotFitError(gap.seq, "unsigned", "the gap is not signed by the gateway's key")

    def _signer(self, text: bytes, signature: str) -> str | None:
        for key in self._keys:
            try:
                chain.verify(key, text, signature)
            except EvidenceError:
                continue
            return key
        return None

    def _decode(self, payload: bytes, kind: type[T]) -> T:
        try:
            message = wire.decode(payload)
        except EvidenceError as error:
            raise _DoesNotFitError(self.expected - 1, "altered", f"it cannot be read: {error}") from None
        assert isinstance(message, kind)  # by its `kind`
        return message


def _is_key(text: object) -> TypeGuard[str]:
    """Say whether this is a public key; a gateway may have named anything."""
    try:
        return isinstance(text, str) and bool(chain.load_public(text))
    except EvidenceError:
        return False
