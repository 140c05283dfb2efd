"""What gateway.toml and site.toml may say."""

from pathlib import Path

import pytest

from agent.config import load_gateway, load_site
from agent.errors import InputError

ROOT = Path(__file__).parents[2]
GOOD = """
id = "gw-1"
state_dir = "state"

[site]
name = "Site"
kind = "office"

[poll]
period_s = 1.0

[mqtt]
url = "mqtts://broker.example:8883"

[[bus]]
name = "hall"
url = "rtu:///dev/ttyUSB0?baud=9600"

[[meter]]
id = "main"
bus = "hall"
unit = 1
profile = "eastron_sdm630"

[[meter]]
id = "office"
bus = "hall"
unit = 2
profile = "abb_b23"
parent = "main"
"""

FACTOR = '[[emission_factor]]\nsource = "grid"\nyear = 2024\nkg_per_kwh = 0.31\nreference = "our utility"'


def complaints(tmp_path: Path, old: str = "", new: str = "") -> list[str]:
    """Give the complaints about the good file with one thing changed, as ``key: text``."""
    path = tmp_path / "gateway.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_gateway(path)
    return [f"{complaint.key}: {complaint.text}" for complaint in caught.value.complaints]


def test_the_defaults_are_those_of_a_usual_site(tmp_path: Path) -> None:
    """One second, a minute, a quarter of an hour; receipts of the collector; paths beside the file."""
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)

    config = load_gateway(path)

    assert (config.poll.period_s, config.poll.slow_period_s, config.poll.window_s) == (1.0, 60.0, 900)
    assert (config.buses[0].timeout_s, config.buses[0].retries) == (1.0, 1)
    assert (config.mqtt.protocol, config.delivery.mode, config.delivery.resend_after_s) == ("auto", "collector", 60.0)
    assert (config.name, config.meters[1].name, config.meters[1].role) == ("gw-1", "office", "load")
    assert config.state_dir == tmp_path / "state"
    assert [(m.ct_ratio, m.vt_ratio, m.max_power_w) for m in config.meters] == [(1.0, 1.0, None)] * 2


def test_the_example_is_sound() -> None:
    """The file that a newcomer copies has no mistake."""
    config = load_gateway(ROOT / "configs/gateway.example.toml")

    assert [(meter.id, meter.unit, meter.profile, meter.parent) for meter in config.meters] == [
        ("main", 1, "eastron_sdm630", None),
        ("office", 2, "abb_b23", "main"),
        ("feeder-2", 3, "carlo_gavazzi_em340", "main"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "gw-1"', f'id = "{"x" * 33}"', "id: "),
        ('id = "main"', f'id = "{"m" * 25}"', "meter[1].id: "),
        ('id = "office"', 'id = "main"', 'meter[2].id: "main" is taken already by the [[meter]] at line '),
        ("unit = 2", "unit = 1", 'meter[2].unit: "unit 1 on bus hall" is taken already'),
        ("unit = 2", "unit = 0", "meter[2].unit: 0 is wrong, expected 1 to 247 on rtu:///dev/ttyUSB0?baud=9600"),
        ("unit = 2", "unit = 256", "meter[2].unit: 256 is wrong, expected a whole number from 0 to 255"),
        ("unit = 2", "unit = true", "meter[2].unit: true is wrong"),
        ("unit = 2", "", "meter[2].unit: missing, expected a whole number from 0 to 255"),
        ('bus = "hall"', 'bus = "hal"', 'meter[1].bus: "hal" is no [[bus]] of this file, did you mean "hall"?'),
        ("abb_b23", "abb_b24", 'meter[2].profile: "abb_b24" is wrong, expected a known profile'),
        ("abb_b23", "a\\u0000.toml", 'meter[2].profile: "a\N{REPLACEMENT CHARACTER}.toml" is wrong, expected a text w'),
        ("abb_b23", "my_meter.toml", 'meter[2].profile: "my_meter.toml" is wrong, expected an existing file'),
        ('parent = "main"', 'parent = "office"', "meter[2].parent: goes round in a ring: office under office"),
        ('parent = "main"', "declared_w = 5.0", "meter[2].declared_w: has no effect without declared"),
        ('parent = "main"', "ct_ratio = 0", "meter[2].ct_ratio: 0 is wrong, expected a ratio, from 0.001 to 100000"),
        ('parent = "main"', "max_power_w = 0", "meter[2].max_power_w: 0 is wrong, expected watts, from 1 to 1e9"),
        (
            'parent = "main"',
            'declared = "mining"\ndeclared_w = 9e3\nmax_power_w = 8e3',
            "meter[2].declared_w: 9000 is more than max_power_w = 8000, what the feeder can carry",
        ),
        ('parent = "main"', 'declared = "minning"', 'meter[2].declared: "minning" is wrong'),
        ('parent = "main"', 'source = "solar"', 'meter[2].source: "solar" is wrong, expected one of grid, pv, hydro,'),
        ('parent = "main"', 'source = "pv"', 'meter[2].source: "pv" needs role = "generation"'),
        ('parent = "main"', 'parent = "main"\nsource = "grid"', 'meter[2].source: "grid" is an incomer, and this'),
        ('parent = "main"', 'role = "generation"\nsource = "grid"', 'meter[2].source: "grid" is an incomer, no gen'),
        ('parent = "main"', 'role = "generation"\nsource = "battery"', "meter[2].capacity_wh: missing: a battery"),
        ('parent = "main"', 'role = "generation"\ndeclared = "mining"', "meter[2].declared: has no effect with role ="),
        ('parent = "main"', "capacity_wh = 5e3", 'meter[2].capacity_wh: has no effect without source = "battery"'),
        ('parent = "main"', 'declared = "mining"\ndeclared_hours = "4-16"', "meter[2].declared_hours: has no effect w"),
        (
            'parent = "main"',
            'declared = "mining"\ndeclared_w = 9e3\ndeclared_hours = "4-4"',
            'meter[2].declared_hours: "4-4" is wrong, expected two different hours of UTC, such as "16-4"',
        ),
        ('kind = "office"', 'kind = "office"\ngrid = "CN-est"', "site.grid: "),
        (
            "[mqtt]",
            f"{FACTOR.replace('year = 2024', '')}\n[mqtt]",
            "emission_factor[1].year: missing, expected",
        ),
        ("[mqtt]", f"{FACTOR}\n{FACTOR}\n[mqtt]", 'emission_factor[2].source: "grid" is taken already by the [[emiss'),
        ("period_s = 1.0", "period_s = 0", "poll.period_s: 0 is wrong, expected seconds, from 0.1 to 3600"),
        ("period_s = 1.0", "period_s = nan", "poll.period_s: nan is wrong"),
        ("period_s = 1.0", "period_s = 7.0", "poll.slow_period_s: 60 is no multiple of period_s = 7"),
        ("period_s = 1.0", "window_s = 7", "poll.window_s: 7 does not divide an hour"),
        ("period_s = 1.0", "window_s = 2400", "poll.window_s: 2400 does not divide an hour"),
        ("period_s = 1.0", "window_s = 7200", "poll.window_s: 7200 is wrong, expected a whole number from 1 to 3600"),
        ("mqtts://broker.example:8883", "broker.example", "mqtt.url: "),
        ("mqtts://broker.example:8883", "mqtts://broker.example:99999", "mqtt.url: "),
        ("mqtts://", "tls://", "mqtt.url: "),
        ("rtu:///dev/ttyUSB0?baud=9600", "rtu:///dev/ttyUSB0?bauds=9600", "bus[1].url: "),
        ("[[bus]]", '[[bus]]\nname = "spare"\nurl = "tcp://10.0.0.2"\n[[bus]]', 'bus[1]: no meter is on bus "spare"'),
        ("[[bus]]", '[[bus]]\nname = "two"\nurl = "rtu:///dev/ttyUSB0"\n[[bus]]', "bus[2].url: "),
        ("[mqtt]", '[mqtt]\ncert_file = "gateway.toml"', "mqtt.cert_file: has no effect without key_file"),
        ("[mqtt]", '[mqtt]\nca_file = "ca.pem"', 'mqtt.ca_file: "ca.pem" is wrong, expected an existing file'),
        ("[[bus]]", "[[buss]]", 'buss: unknown key, did you mean "bus"?'),
        ("[site]", "[sight]", 'sight: unknown key, did you mean "site"?'),
        ("[[bus]]", "[bus]", "bus: one table, expected a list of them"),
    ],
)
def test_each_mistake_is_told_where_it_stands(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """What is wrong, what was expected, and the nearest right word."""
    found = complaints(tmp_path, old, new)

    assert [text for text in found if text.startswith(expected)], found


def test_a_ring_of_parents_is_told_once(tmp_path: Path) -> None:
    """Two meters that feed each other are one mistake."""
    found = complaints(tmp_path, 'profile = "eastron_sdm630"', 'profile = "eastron_sdm630"\nparent = "office"')

    assert found == ["meter[1].parent: goes round in a ring: main under office under main"]


@pytest.mark.parametrize(
    "wrong",
    [
        'role = "generation"\nsource = "battery"\ncapacity_wh = inf',
        'declared = "mining"\ndeclared_w = -3\ndeclared_hours = "8-20"',
        'declared = "minning"\ndeclared_w = 9e3',
    ],
)
def test_a_wrong_value_is_not_told_as_a_missing_one_too(tmp_path: Path, wrong: str) -> None:
    """One mistake, one complaint: the key stands there, and what depends on it is not to blame."""
    assert len(complaints(tmp_path, 'parent = "main"', wrong)) == 1


def test_tls_files_need_tls(tmp_path: Path) -> None:
    """A certificate that would silently not be used is a mistake."""
    found = complaints(
        tmp_path, 'url = "mqtts://broker.example:8883"', 'url = "mqtt://127.0.0.1"\nca_file = "gateway.toml"'
    )

    assert found == ["mqtt.ca_file: has no effect without TLS; write mqtts:// in url"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (
            "mqtt://broker.example",
            "mqtt.url: is not encrypted, and leaves this machine; "
            "write mqtts://, or plaintext = true where a tunnel does it",
        ),
        ('mqtt://[::1]"\nplaintext = true#', "mqtt.plaintext: has no effect with mqtt://[::1]"),
        ('mqtts://broker.example"\nplaintext = true#', "mqtt.plaintext: has no effect with mqtts://broker.example"),
    ],
)
def test_nothing_leaves_the_machine_unencrypted_unasked(tmp_path: Path, url: str, found: str) -> None:
    """And who says that a tunnel encrypts it says so only where that is of use."""
    assert complaints(tmp_path, "mqtts://broker.example:8883", url) == [found]


def test_a_tunnel_may_carry_what_is_not_encrypted(tmp_path: Path) -> None:
    """The operator says so, in the file."""
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD.replace('"mqtts://broker.example:8883"', '"mqtt://10.0.0.1"\nplaintext = true'))

    assert load_gateway(path).mqtt.plaintext


@pytest.mark.parametrize("key", ["key_file", "password_file"])
def test_a_secret_that_others_may_read_is_a_mistake(tmp_path: Path, key: str) -> None:
    """It is found before the daemon would refuse it."""
    (tmp_path / "secret").write_text("")
    (tmp_path / "secret").chmod(0o640)

    found = complaints(tmp_path, ':8883"', f':8883"\nusername = "u"\ncert_file = "secret"\n{key} = "secret"')

    assert f'mqtt.{key}: "secret" is wrong, expected a file that only its owner may read: chmod 600' in found[-1]


def test_what_enrolment_left_is_used_where_the_file_names_nothing_else(tmp_path: Path) -> None:
    """Certificate, authority, and the keys of collector and operator; a name in the file goes before."""
    folder = tmp_path / "state/identity"
    folder.mkdir(parents=True)
    for name in ("certificate.pem", "ca.pem", "collector.pem", "operator.pem"):
        (folder / name).touch()
    (tmp_path / "own.pem").touch()
    path = tmp_path / "gateway.toml"
    path.write_text(f'{GOOD}[delivery]\ncollector_key_file = "own.pem"')

    config = load_gateway(path)

    assert (config.mqtt.ca_file, config.mqtt.cert_file) == (folder / "ca.pem", folder / "certificate.pem")
    assert config.mqtt.key_file == tmp_path / "state/key.pem"
    assert config.delivery.collector_key_file == tmp_path / "own.pem"
    assert config.commands.operator_key_file == folder / "operator.pem"


def test_a_profile_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    """The path is relative to the configuration."""
    (tmp_path / "mine.toml").write_bytes((ROOT / "configs/meters/abb_b23.toml").read_bytes())
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD.replace("abb_b23", "mine.toml"))

    config = load_gateway(path)

    assert config.meters[1].profile == str(tmp_path / "mine.toml")


def test_a_site_says_what_a_recording_cannot() -> None:
    """Role, parent and what was declared, for the meters of a replay."""
    site, meters = load_site(ROOT / "configs/site.example.toml")

    assert (site.name, site.kind) == ("Example office", "office")
    assert site.grid == "DE"
    assert [(meter.id, meter.role, meter.source, meter.declared, meter.declared_w) for meter in meters] == [
        ("main", "load", "grid", None, None),
        ("feeder-2", "load", None, None, None),
        ("hall", "load", None, "data_hall", 40_000.0),
        ("roof", "generation", "pv", None, None),
    ]


def test_a_site_is_checked_like_a_gateway(tmp_path: Path) -> None:
    """Unknown parents, double ids and keys of a gateway are told."""
    path = tmp_path / "site.toml"
    path.write_text(
        '[site]\nname = "S"\nkind = "other"\n[[meter]]\nid = "A 1"\nparent = "B"\n[[meter]]\nid = "A 1"\nunit = 3\n'
    )

    with pytest.raises(InputError) as caught:
        load_site(path)

    assert [(complaint.line, complaint.key) for complaint in caught.value.complaints] == [
        (6, "meter[1].parent"),
        (8, "meter[2].id"),
        (9, "meter[2].unit"),
    ]


@pytest.mark.parametrize(("unit", "right"), [(0, True), (247, True), (255, True), (248, False)])
def test_a_device_on_tcp_may_mean_itself_by_0_or_255(tmp_path: Path, unit: int, right: bool) -> None:
    """What is reserved on a line, and what everybody hears there, some devices have as their only unit id."""
    path = tmp_path / "gateway.toml"
    path.write_text(
        GOOD.replace("rtu:///dev/ttyUSB0?baud=9600", "tcp://10.0.0.7").replace("unit = 2", f"unit = {unit}")
    )

    if right:
        assert load_gateway(path).meters[1].unit == unit
    else:
        with pytest.raises(InputError, match="248 is wrong, expected 1 to 247, or 0 or 255 on tcp"):
            load_gateway(path)


def test_an_operator_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Else commands would be refused one by one, without a word at the gateway."""
    assert complaints(tmp_path, "[mqtt]", '[commands]\noperator_key_file = "gone.pem"\n[mqtt]') == [
        'commands.operator_key_file: "gone.pem" is wrong, '
        "expected an existing file, relative to the folder of this file"
    ]
