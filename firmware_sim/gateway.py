"""A ready ``gateway.toml`` for the agent that is to watch a scenario."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from firmware_sim.scenario import MeterSpec, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What the scenario cannot know about the agent."""

    mqtt_url: str = "mqtt://127.0.0.1:1883"
    state_dir: str = "state"
    period_s: float = 1.0
    slow_period_s: float = 60.0
    window_s: int = 900


def gateway_toml(scenario: Scenario, urls: Mapping[str, str], options: GatewayOptions) -> str:
    """Give the text of the file; ``urls`` are the addresses of the buses, by name."""
    sections = [
        _section(
            "# what `flatwatt run` needs to watch the scenario",
            id="demo",
            name=scenario.name,
            state_dir=options.state_dir,
        ),
        _section("[site]", name=scenario.site or scenario.name, kind=scenario.site_kind),
        _section("[poll]", period_s=options.period_s, slow_period_s=options.slow_period_s, window_s=options.window_s),
        _section("[mqtt]", url=options.mqtt_url),
        _section("[delivery]", mode="collector"),
        *(_section("[[bus]]", name=bus.name, url=urls[bus.name]) for bus in scenario.buses),
        *(_meter(meter) for meter in scenario.meters),
    ]
    return "\n".join(sections)


def _meter(meter: MeterSpec) -> str:
    return _section(
        "[[meter]]",
        id=meter.id,
        name=meter.name or meter.id,
        bus=meter.bus,
        unit=meter.unit,
        profile=meter.profile,
        role=meter.role,
        parent=meter.parent,
        declared=meter.declared,
        declared_w=meter.declared_w,
    )


def _section(title: str, **values: str | float | None) -> str:
    """Write one table; JSON's texts and numbers are TOML's as well, but for its escapes of rare characters."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None]
    return "\n".join([title, *lines, ""])
