"""``gateway.toml`` and ``site.toml`` as types, and how they are read: every mistake at once."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.config_check import (
    BUS,
    POLL,
    SITE,
    check_buses,
    check_factors,
    check_meters,
    check_poll,
    fact_fields,
    gateway_fields,
    meter_fields,
)
from agent.config_delivery import check_mqtt, commands_fields, delivery_fields, mqtt_fields
from agent.emission_factors import FACTOR, EmissionFactor
from agent.toml_check import Check, text
from agent.toml_source import read_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class BusConfig:
    """One physical bus: an RS-485 line or a TCP connection. ``url`` as in docs/architecture.md."""

    name: str
    url: str  # tcp://HOST[:PORT] | rtu:///dev/ttyUSB0?baud=9600&parity=N&stopbits=1 | rtu+tcp://HOST:PORT
    timeout_s: float
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFacts:
    """What is known of a meter and its place in the facility, however its values come in."""

    id: str
    name: str
    role: str  # load | generation
    parent: str | None  # the meter upstream, if that is metered too
    source: str | None  # of role generation: pv, hydro, wind, diesel, gas, battery; of role load: grid, an incomer
    capacity_wh: float | None  # of a battery
    declared: str | None  # what the site registered this load as: data_hall, telecom, mining, lighting, process
    declared_w: float | None
    declared_hours: tuple[int, int] | None  # UTC, from and to, in which it was registered to run; None: always


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterConfig(MeterFacts):
    """One meter on a bus. Its ``id`` is part of the topic: [a-z0-9-]{1,24}."""

    bus: str
    unit: int
    profile: str  # a name of `flatwatt profiles`, or the path of a profile of one's own
    ct_ratio: float  # of current transformers that the meter does not know of: multiplies currents, powers, energies
    vt_ratio: float  # of voltage transformers that it does not know of: multiplies voltages, powers, energies
    max_power_w: float | None  # what the feeder can carry; a power beyond 1.1 times that is a fault


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """The facility. ``kind`` decides what flatness alone may mean: see docs/detection.md."""

    name: str
    kind: str  # office | campus | industry | data_centre | telecom | public | mining | other
    grid: str | None  # region of configs/emission_factors.toml
    emission_factor: tuple[EmissionFactor, ...]  # the site's own, in place of what is published


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
    plaintext: bool  # something else encrypts what leaves this machine with mqtt://


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConfig:
    """When the spool may forget: at the collector's receipt, or at the broker's PUBACK. And how large it may become."""

    mode: str  # collector | broker
    collector_key_file: Path | None  # public key, PEM; None pins the first one seen
    resend_after_s: float
    spool_bytes: int
    spool_days: int  # of windows: a gateway that is off for a year loses nothing
    disk_free_bytes: int  # left to others
    drain_per_s: float  # records of a backlog; alarms and live records are not bound by it


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandsConfig:
    """Whose commands are obeyed; see docs/commands.md."""

    operator_key_file: Path | None  # public key, PEM; None: no commands are taken


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
    commands: CommandsConfig
    buses: tuple[BusConfig, ...]
    meters: tuple[MeterConfig, ...]


def load_gateway(path: Path) -> GatewayConfig:
    """Read ``gateway.toml``. Raises InputError with every mistake; relative paths start at the file's folder."""
    check = Check(read_toml(path))
    folder = path.resolve().parent
    tables = ("site", "poll", "mqtt", "delivery", "commands", "bus", "meter", "emission_factor")
    top = check.top(gateway_fields(folder), tables)
    site, poll = check.table("site", SITE), check.table("poll", POLL)
    own = check.tables("emission_factor", FACTOR)
    mqtt, delivery = check.table("mqtt", mqtt_fields(folder)), check.table("delivery", delivery_fields(folder))
    commands = check.table("commands", commands_fields(folder))
    buses, meters = check.tables("bus", BUS), check.tables("meter", meter_fields(folder))
    check_poll(check, poll)
    check_mqtt(check, mqtt)
    check_buses(check, buses, meters)
    check_meters(check, meters)
    check_factors(check, own)
    check.finish()
    config = GatewayConfig(
        **(top | {"name": top["name"] or top["id"]}),
        site=_site(site, own),
        poll=PollConfig(**poll),
        mqtt=MqttConfig(**mqtt),
        delivery=DeliveryConfig(**delivery),
        commands=CommandsConfig(**commands),
        buses=tuple(BusConfig(**bus) for bus in buses),
        meters=tuple(MeterConfig(**_named(meter)) for meter in meters),
    )
    return _enrolled(config)


def load_site(path: Path) -> tuple[SiteConfig, tuple[MeterFacts, ...]]:
    """Read ``site.toml``, what a replay knows of the meters. Raises InputError with every mistake."""
    check = Check(read_toml(path))
    check.top((), tables=("site", "meter", "emission_factor"))
    site, meters = check.table("site", SITE), check.tables("meter", fact_fields(text))
    own = check.tables("emission_factor", FACTOR)
    check_meters(check, meters)
    check_factors(check, own)
    check.finish()
    return _site(site, own), tuple(MeterFacts(**_named(meter)) for meter in meters)


def _enrolled(config: GatewayConfig) -> GatewayConfig:
    """Use what `flatwatt enrol` left in the state_dir, where the file names nothing else (docs/identity.md)."""
    folder = config.state_dir / "identity"
    try:
        if not (folder / "certificate.pem").is_file():
            return config
    except OSError:  # another user than the agent's, who may look at the configuration alone
        return config
    mqtt, delivery, commands = config.mqtt, config.delivery, config.commands
    if mqtt.url.startswith("mqtts:") and not (mqtt.ca_file or mqtt.cert_file or mqtt.key_file):
        mqtt = replace(
            mqtt,
            ca_file=folder / "ca.pem",
            cert_file=folder / "certificate.pem",
            key_file=config.state_dir / "key.pem",
        )
    if delivery.collector_key_file is None and (folder / "collector.pem").is_file():
        delivery = replace(delivery, collector_key_file=folder / "collector.pem")
    if commands.operator_key_file is None and (folder / "operator.pem").is_file():
        commands = replace(commands, operator_key_file=folder / "operator.pem")
    return replace(config, mqtt=mqtt, delivery=delivery, commands=commands)


def _site(site: dict[str, Any], own: list[dict[str, Any]]) -> SiteConfig:
    return SiteConfig(**site, emission_factor=tuple(EmissionFactor(**factor) for factor in own))


def _named(meter: dict[str, Any]) -> dict[str, Any]:
    return meter | {"name": meter["name"] or meter["id"]}
