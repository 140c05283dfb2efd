"""From what a scan found to a ``gateway.toml`` that passes `flatwatt check`."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent.acquire.bus.line import line_of
from agent.acquire.bus.url import SerialAddress, TcpAddress, parse_url
from agent.commission.diagnose.bus import USUAL_PERIODS_S
from agent.commission.load import BusLoad, meter_load
from agent.commission.scan.scan import FoundMeter
from agent.config import PollConfig
from agent.errors import FlatwattError, InputError

_ROOM = 0.7  # of the bus's time: the rest is for repeated requests and slow answers
_LONGEST_ID = 24
_MOST_OTHERS = 4  # candidates worth a line

_HEAD = """\
# Written by `flatwatt scan`. Complete what stands in capitals, then:
#
#     flatwatt check -c FILE     every mistake in it
#     flatwatt doctor -c FILE    is each meter wired and read right?

id = "GATEWAY" # a-z, 0-9 and "-", at most 32
name = "NAME OF THIS GATEWAY"

[site]
name = "NAME OF THE SITE"
kind = "other" # office, campus, industry, data_centre, telecom, public, mining, other

[poll]
period_s = {period_s:g} # the fullest bus is then busy {busy:.0%} of the time
slow_period_s = {slow_period_s:g}

[mqtt]
url = "mqtt://127.0.0.1:1883" # THE BROKER; mqtts:// for TLS
"""


def check_output(path: Path) -> None:
    """Refuse before half an hour of scanning what could not be written after it."""
    if path.exists():
        raise InputError(f"--output {path} exists already; name another file, or remove it")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise InputError(f"--output {path}: {path.parent} is no folder in which you may write; name another")


def save(path: Path, text: str) -> None:
    """Write a new file; one that came into being meanwhile stays as it is."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise FlatwattError(f"{path} is not written: {error.strerror or error}") from None


def draft(found: Sequence[FoundMeter], stable_paths: Mapping[str, str]) -> str:
    """Give the text of a configuration; ``stable_paths`` are better names of serial ports, by their path.

    A unit that no profile fits stands in it as a comment.
    """
    meters = [meter for meter in found if meter.profile]
    poll = _poll(meters)
    slow_s = max(60.0, poll.period_s)
    busy = max((load.utilisation(poll) for load in _loads(meters)), default=0.0)
    head = _HEAD.format(period_s=poll.period_s, slow_period_s=slow_s, busy=busy)
    buses = {url: _bus_name(url) for url in dict.fromkeys(meter.url for meter in meters)}
    ids = _ids(meters)
    parts = [head.replace("GATEWAY", "gateway", 1)]
    parts += [_table("[[bus]]", name=name, url=_stable(url, stable_paths)) for url, name in buses.items()]
    parts += [_meter(meter, id_, buses[meter.url]) for meter, id_ in zip(meters, ids, strict=True)]
    parts += [_unknown(meter) for meter in found if not meter.profile]
    return "\n".join(parts)


def _poll(meters: Sequence[FoundMeter]) -> PollConfig:
    """Give the shortest usual period at which every bus has room."""
    loads = _loads(meters)
    for period_s in USUAL_PERIODS_S:
        poll = PollConfig(period_s=period_s, slow_period_s=max(60.0, period_s), window_s=900)
        if all(load.utilisation(poll) <= _ROOM for load in loads):
            break
    return poll


def _loads(meters: Iterable[FoundMeter]) -> list[BusLoad]:
    by_url: dict[str, list[FoundMeter]] = {}
    for meter in meters:
        by_url.setdefault(meter.url, []).append(meter)
    loads = []
    for url, some in by_url.items():
        line = line_of(url)
        planned = tuple(meter_load(f"{m.unit}", m.unit, m.profile, line) for m in some if m.profile)
        loads.append(BusLoad(bus=url, url=url, line=line, meters=planned))
    return loads


def _bus_name(url: str) -> str:
    address = parse_url(url)
    if isinstance(address, TcpAddress):
        return f"{address.host}" if address.port == 502 else f"{address.host}:{address.port}"
    return address.path.rpartition("/")[2]


def _stable(url: str, stable_paths: Mapping[str, str]) -> str:
    address = parse_url(url)
    if isinstance(address, SerialAddress) and address.path in stable_paths:
        return str(replace(address, path=stable_paths[address.path]))
    return url


def _ids(meters: Sequence[FoundMeter]) -> list[str]:
    """Give each meter an id of model and unit, and a number more where that is taken.

    Two gateways may each have an SDM630 with unit id 1.
    """
    ids: list[str] = []
    for meter in meters:
        assert meter.profile
        model = re.sub(r"[^a-z0-9]+", "-", meter.profile.model.lower()).strip("-")
        stem = f"{model[: _LONGEST_ID - 8].rstrip('-')}-{meter.unit}"
        taken = sum(id_ == stem or id_.startswith(f"{stem}-") for id_ in ids)
        ids.append(f"{stem}-{taken + 1}" if taken else stem)
    return ids


def _meter(meter: FoundMeter, id_: str, bus: str) -> str:
    best, *others = meter.identification.profiles
    remarks = [f"# {meter.identification.why}"]
    if others:
        named = ", ".join(profile.name for profile in others[:_MOST_OTHERS])
        remarks.append(
            f"# no code tells the model: the type plate decides; it may also be {named}"
            + (" …" * (len(others) > _MOST_OTHERS))
        )
    name = f"{best.maker} {best.model}, unit {meter.unit}"
    return (
        "\n".join(remarks) + "\n" + _table("[[meter]]", id=id_, name=name, bus=bus, unit=meter.unit, profile=best.name)
    )


def _unknown(meter: FoundMeter) -> str:
    return (
        f"# unit {meter.unit} at {meter.url} answers, and no profile fits it: docs/adding-a-meter.md tells how to "
        "write one\n"
    )


def _table(title: str, **values: str | int) -> str:
    """Write one table; JSON's texts and numbers are TOML's as well."""
    return "\n".join([title, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])
