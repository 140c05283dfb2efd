"""``gateway.toml`` and ``site.toml`` as types."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BusConfig:
    """One physical bus: an RS-485 line or a TCP connection. ``url`` as in docs/architecture.md."""

    name: str
    url: str  # tcp://HOST[:PORT] | rtu:///dev/ttyUSB0?baud=9600&parity=N&stopbits=1 | rtu+tcp://HOST:PORT
    timeout_s: float
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterConfig:
    """One meter and its place in the facility."""

    id: str  # [a-z0-9-]{1,24}, part of the topic
    name: str
    bus: str
    unit: int
    profile: str
    role: str  # load | generation
    parent: str | None  # the meter upstream, if that is metered too
    declared: str | None  # what the site registered this load as: data_hall, telecom, mining, lighting, process
    declared_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """The facility. ``kind`` decides what flatness alone may mean: see docs/detection.md."""

    name: str
    kind: str  # office | campus | industry | data_centre | telecom | public | mining | other


@dataclass(frozen=True, slots=True, kw_only=True)
class PollConfig:
    """How often to read, and the demand interval."""

    period_s: float
    slow_period_s: float
    window_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConfig:
    """The broker."""

    url: str  # mqtt://HOST[:PORT] or mqtts://HOST[:PORT]
    protocol: str  # auto | 5 | 3.1.1
    username: str | None
    password_file: Path | None
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConfig:
    """When the spool may forget: at the collector's receipt, or at the broker's PUBACK."""

    mode: str  # collector | broker
    collector_key_file: Path | None  # public key, PEM; None pins the first one seen
    resend_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """The whole of ``gateway.toml``."""

    id: str  # [a-z0-9-]{1,32}
    name: str
    state_dir: Path
    site: SiteConfig
    poll: PollConfig
    mqtt: MqttConfig
    delivery: DeliveryConfig
    buses: tuple[BusConfig, ...]
    meters: tuple[MeterConfig, ...]
