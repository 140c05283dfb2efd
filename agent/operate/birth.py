"""What a gateway says of itself: its birth and death, and how its delivery gets on."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from agent import __version__
from agent.acquire.profiles.profile import find_profile
from agent.config import GatewayConfig, MeterConfig
from agent.deliver import wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.link.status import PublisherStatus
from agent.deliver.spool.spool import Spool
from agent.records import ClockReading

_TRUST_WORDS = {"U": "unknown", "I": "informative", "S": "synchronised", "R": "relative"}


class Birth:
    """Makes the retained birth and death messages, from what its parts say at that moment."""

    def __init__(
        self,
        config: GatewayConfig,
        key: GatewayKey,
        spool: Spool,
        *,
        read_clock: Callable[[], ClockReading],
        is_simulated: bool,
        publisher: Callable[[], PublisherStatus],
        interval: Literal["file", "command"],
    ) -> None:
        self._config = config
        self._key = key
        self._spool = spool
        self._read_clock = read_clock
        self._is_simulated = is_simulated
        self._publisher = publisher
        self._interval = interval
        self._meters = [_meter_status(meter) for meter in config.meters]

    def health(self) -> tuple[str, str, str, str]:
        """Give what the centre should hear of as soon as it changes."""
        return self._spool.stream, self._spool.storage, self._read_clock().trust, self._key.key_id

    def delivery(self) -> dict[str, Any]:
        """Give what ``flatwatt status`` shows of the way to the centre."""
        spool = self._spool
        return asdict(self._publisher()) | {
            "stream": spool.stream,
            "last_seq": spool.last_seq,
            "receipted": spool.receipted,
            "storage": spool.storage,
            "why_memory": spool.why_memory,
            "spool_bytes": spool.bytes_used,
            "spool_bound_bytes": self._config.delivery.spool_bytes,
            "clock": "simulated" if self._is_simulated else self._read_clock().trust,
            "period_s": self._config.poll.period_s,
            "window_s": self._config.poll.window_s,
            "interval": self._interval,
        }

    def payload(self, state: Literal["online", "offline"]) -> bytes:
        """Give the bytes of the birth (``online``) or of the death (``offline``)."""
        config, spool, reading = self._config, self._spool, self._read_clock()
        oldest_s = self._publisher().oldest_unreceipted_s
        return wire.encode(
            wire.Status(
                v=wire.VERSION,
                kind="status",
                state=state,
                gateway=config.id,
                name=config.name,
                site=config.site.name,
                site_kind=config.site.kind,
                software=__version__,
                boot_id=reading.boot_id,
                stream=spool.stream,
                delivery=config.delivery.mode,
                clock="simulated" if self._is_simulated else _TRUST_WORDS[reading.trust],
                time_s=int(reading.utc_s),
                window_s=config.poll.window_s,
                public_key=self._key.public_key,
                meters=self._meters,
                boot_s=round(reading.boot_s, 3),
                last_seq=spool.last_seq,
                receipted=spool.receipted,
                oldest_unreceipted_s=None if oldest_s is None else int(oldest_s),
                spool_bytes=spool.bytes_used,
                storage=spool.storage,
                period_s=config.poll.period_s,
                interval=self._interval,
            )
        )


def _meter_status(meter: MeterConfig) -> wire.MeterStatus:
    profile = find_profile(meter.profile)
    return wire.MeterStatus(
        meter=meter.id,
        name=meter.name,
        role=meter.role,
        parent=meter.parent,
        declared=meter.declared,
        declared_w=meter.declared_w,
        profile=profile.name,
        profile_digest=profile.digest,
    )
