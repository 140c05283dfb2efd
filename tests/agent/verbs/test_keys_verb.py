"""`flatwatt keys` and `flatwatt enrol`, as a person types them."""

import json
import stat
from pathlib import Path

import pytest

from agent.cli import main
from agent.deliver import chain
from agent.deliver.identity.keys import load_gateway_key, load_public_key
from agent.private_file import refuse_shared

GATEWAY = """
id = "campus-01"
state_dir = "state"
[site]
name = "Site"
kind = "office"
[mqtt]
url = "mqtts://broker.example"
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:9"
[[meter]]
id = "main"
bus = "tcp"
unit = 1
profile = "eastron_sdm630"
"""
TOKEN = f"flatwatt1.{'s' * 32}.{'0' * 64}"


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A gateway that is not enrolled."""
    path = tmp_path / "gateway.toml"
    path.write_text(GATEWAY)
    return str(path)


def test_a_gateway_that_is_not_enrolled_has_a_key_and_no_certificate(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, and whom it trusts: nobody yet."""
    key = load_gateway_key(tmp_path / "state/key.pem")

    code = main(["keys", "-c", config, "--json"])

    shown = json.loads(capsys.readouterr().out)
    assert (code, shown["gateway"], shown["key"]) == (0, "campus-01", key.key_id)
    assert {shown[name] for name in ("certificate_until", "collector_key", "operator_key")} == {None}


def test_a_gateway_tells_which_operator_it_obeys(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that its file names, whatever enrolment left."""
    for name in ("named", "state/identity/operator"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        assert main(["keys", "operator", str(tmp_path / name)]) == 0
    Path(config).write_text(f'{GATEWAY}[commands]\noperator_key_file = "named.pub"\n')
    (tmp_path / "state/identity/operator.pub").rename(tmp_path / "state/identity/operator.pem")
    load_gateway_key(tmp_path / "state/key.pem")
    capsys.readouterr()

    main(["keys", "-c", config, "--json"])

    shown = json.loads(capsys.readouterr().out)["operator_key"]
    assert shown == chain.key_id(load_public_key(tmp_path / "named.pub"))


def test_an_operators_key_is_his_alone_and_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has it commands the fleet; the public half is for everybody."""
    path = tmp_path / "operator"
    assert main(["keys", "operator", str(path)]) == 0
    modes = [stat.S_IMODE(file.stat().st_mode) for file in (path, tmp_path / "operator.pub")]

    again = main(["keys", "operator", str(path)])

    assert (modes, again) == ([0o600, 0o644], 2)
    assert "no key is replaced silently" in capsys.readouterr().err


def test_a_key_is_shown_by_its_public_half_and_its_short_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a private key as of a public one."""
    key = load_gateway_key(tmp_path / "key.pem")
    main(["keys", "public", str(tmp_path / "key.pem")])
    (tmp_path / "public.pem").write_text(capsys.readouterr().out)

    main(["keys", "fingerprint", str(tmp_path / "public.pem")])

    assert load_public_key(tmp_path / "public.pem") == key.public_key
    assert capsys.readouterr().out.strip() == chain.key_id(key.public_key)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["http://centre.example", TOKEN], 2, "expected https://HOST[:PORT]"),
        (["https://centre.example", "flatwatt1.short"], 2, "TOKEN: is not as `flatwatt ca token` prints it"),
        (["https://127.0.0.1:9", TOKEN], 1, "https://127.0.0.1:9: no connection: Connection refused"),
    ],
)
def test_what_keeps_a_gateway_from_enrolling_is_one_line(
    config: str, capsys: pytest.CaptureFixture[str], words: list[str], code: int, complaint: str
) -> None:
    """What is wrong, and what was expected."""
    ended = main(["enrol", *words, "-c", config])

    assert ended == code
    assert complaint in capsys.readouterr().err


def test_a_key_that_systemd_hands_over_may_have_any_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is the service's own, also where a link in the state_dir leads there."""
    credential = tmp_path / "credentials/key.pem"
    load_gateway_key(credential)
    credential.chmod(0o440)
    (tmp_path / "key.pem").symlink_to(credential)

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credential.parent))

    refuse_shared(tmp_path / "key.pem", "this key")
    assert load_gateway_key(tmp_path / "key.pem").key_id == load_gateway_key(credential).key_id
