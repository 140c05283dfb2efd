"""A gateway for the collector's tests: its own key and chain, and the messages that a real one sends."""

from agent.deliver import chain, wire

START_S = 1_767_225_600  # 2026-01-01T00:00:00Z
WINDOW_S = 900

Sent = tuple[str, bytes]  # topic, payload


class FakeGateway:
    """Makes records in order; who sends them may lose, repeat, reorder or alter them."""

    def __init__(self, gateway: str = "campus-01", stream: str = "9f86d081") -> None:
        self.gateway = gateway
        self.stream = stream
        self.key = chain.new_key()
        self.public_key = chain.public_text(self.key)
        self.seq = 0
        self.head = chain.first_head(gateway, stream)
        self.heads = {0: self.head}
        self.boot_id = ""  # "" tells nothing of the boot
        self.boot_s = 0.0
        self.receipted = 0

    def status(self, *meters: wire.MeterStatus, state: str = "online", site: str = "North campus") -> Sent:
        """Give the birth, or the death, of the gateway."""
        message = wire.Status(
            v=1,
            kind="status",
            state="online" if state == "online" else "offline",
            gateway=self.gateway,
            name="Main switchboard",
            site=site,
            site_kind="campus",
            software="0.1.0",
            boot_id=self.boot_id,
            stream=self.stream,
            delivery="collector",
            clock="synchronised",
            time_s=START_S,
            window_s=WINDOW_S,
            public_key=self.public_key,
            meters=list(meters),
            boot_s=self.boot_s,
            last_seq=self.seq,
            receipted=self.receipted,
        )
        return wire.topic(self.gateway, "status"), wire.encode(message)

    def summary(
        self,
        meter: str = "feeder-1",
        window: int = 0,
        watts: float | None = 12_000.0,
        mining_w: tuple[float, float, float] = (0.0, 0.0, 0.0),
        *,
        verdict: str = "normal",
        quality: str = "G",
        energy_wh: float | None = None,
        since_s: int | None = None,
        clock: wire.Trust = "S",
        part: int = 0,
    ) -> Sent:
        """Give the next record: one meter over the window of this number."""
        self.seq += 1
        return self._chained(
            wire.Summary(
                v=1,
                kind="summary",
                stream=self.stream,
                seq=self.seq,
                meter=meter,
                start_s=START_S + window * WINDOW_S,
                window_s=WINDOW_S,
                coverage=1.0,
                quality=quality,
                active_power_w=watts,
                active_power_min_w=None if watts is None else watts * 0.9,
                active_power_max_w=None if watts is None else watts * 1.1,
                active_energy_import_wh=energy_wh,
                verdict=verdict,
                score=0.9 if verdict == "mining" else 0.1,
                mining_w=mining_w,
                since_s=since_s,
                clock=clock,
                part=part,
            ),
            meter,
        )

    def alarm(
        self,
        meter: str = "feeder-1",
        state: str = "raised",
        *,
        time_s: int = START_S,
        alarm: str = "a1",
        text: str = "the night load rose by 42 kW and stayed",
        raised_s: int = START_S,
        since_s: int = START_S - 86_400,
    ) -> Sent:
        """Give the next record: an alarm."""
        self.seq += 1
        return self._chained(
            wire.Alarm(
                v=1,
                kind="alarm",
                stream=self.stream,
                seq=self.seq,
                meter=meter,
                alarm=alarm,
                state="cleared" if state == "cleared" else "updated" if state == "updated" else "raised",
                time_s=time_s,
                raised_s=raised_s,
                verdict="mining",
                score=0.97,
                mining_w=(38_000.0, 42_000.0, 46_000.0),
                mining_share=0.35,
                since_s=since_s,
                reasons=[
                    wire.Reason("baseload_step", 42_000.0, 3.1, text),
                    wire.Reason("persistence", 9.0, 1.2, "kept for 9 days"),
                ],
            ),
            meter,
        )

    def event(
        self,
        text: str = "meter feeder-1 answers again",
        meter: str | None = "feeder-1",
        event: str = "meter_back",
        **data: float | int | str | None,
    ) -> Sent:
        """Give the next record: an event."""
        self.seq += 1
        return self._chained(
            wire.Event(
                v=1,
                kind="event",
                stream=self.stream,
                seq=self.seq,
                meter=meter,
                event=event,
                time_s=START_S,
                text=text,
                data=data,
            ),
            meter,
        )

    def gap(self, from_seq: int, through_seq: int, *totals: wire.MeterTotal, cause: str = "spool_bytes") -> Sent:
        """Give the next record: the signed statement that a range was dropped."""
        head = self.heads[through_seq].hex()
        self.seq += 1
        text = chain.gap_text(self.gateway, self.stream, from_seq, through_seq, head, START_S)
        return self._chained(
            wire.Gap(
                v=1,
                kind="gap",
                stream=self.stream,
                seq=self.seq,
                gateway=self.gateway,
                from_seq=from_seq,
                through_seq=through_seq,
                head=head,
                cause=cause,
                time_s=START_S,
                records={"summary": through_seq - from_seq + 1},
                totals=list(totals),
                key=chain.key_id(self.public_key),
                sig=chain.sign(self.key, text),
            )
        )

    def reply(self, text: str = "records 1 to 2 are sent again") -> Sent:
        """Give the next record: what became of a command."""
        self.seq += 1
        return self._chained(
            wire.Reply(
                v=1,
                kind="reply",
                stream=self.stream,
                seq=self.seq,
                counter=7,
                command="resend",
                state="done",
                time_s=START_S,
                text=text,
                data={"from_seq": 1},
            )
        )

    def rotate(self) -> Sent:
        """Give the next record, which names the next key; the checkpoint after it is still signed by the old one."""
        self.next_key = chain.new_key()
        return self.event("the next key", None, "key_rotated", public_key=chain.public_text(self.next_key))

    def use_next_key(self) -> None:
        """Sign with the next key from now on."""
        self.key, self.public_key = self.next_key, chain.public_text(self.next_key)

    def checkpoint(self) -> Sent:
        """Give the next record: the signed head of all before it."""
        through, head = self.seq, self.head.hex()
        self.seq += 1
        text = chain.checkpoint_text(self.gateway, self.stream, through, head, START_S)
        return self._chained(
            wire.Checkpoint(
                v=1,
                kind="checkpoint",
                stream=self.stream,
                seq=self.seq,
                gateway=self.gateway,
                through=through,
                head=head,
                time_s=START_S,
                key=chain.key_id(self.public_key),
                sig=chain.sign(self.key, text),
                boot_id=self.boot_id,
                boot_s=self.boot_s,
            )
        )

    def windows(self, count: int, meter: str = "feeder-1") -> list[Sent]:
        """Give this many windows of one meter, each closed by a checkpoint."""
        return [sent for window in range(count) for sent in (self.summary(meter, window), self.checkpoint())]

    def _chained(self, record: wire.Record, meter: str | None = None) -> Sent:
        payload = wire.encode(record)
        self.head = self.heads[self.seq] = chain.next_head(self.head, payload)
        return wire.topic(self.gateway, record.kind, meter), payload


def named(
    meter: str, name: str = "", *, role: str = "load", parent: str | None = None, declared: str | None = None
) -> wire.MeterStatus:
    """Give a meter as a status lists it."""
    return wire.MeterStatus(
        meter=meter,
        name=name or meter,
        role=role,
        parent=parent,
        declared=declared,
        declared_w=None,
        profile="eastron_sdm630",
        profile_digest="0123456789abcdef",
    )


def total(
    meter: str, first: int, last: int, load_wh: float, mining_wh: float = 0.0, **registers: float
) -> wire.MeterTotal:
    """Give what is left of the windows ``first..last`` of a meter."""
    return wire.MeterTotal(
        meter=meter,
        start_s=START_S + first * WINDOW_S,
        end_s=START_S + (last + 1) * WINDOW_S,
        coverage=1.0,
        load_wh=load_wh,
        mining_wh=mining_wh,
        active_energy_import_wh=registers.get("import_wh"),
        active_energy_export_wh=registers.get("export_wh"),
    )
