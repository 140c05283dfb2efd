"""`flatwatt ca`, as a person types it."""

import json
import stat
from pathlib import Path

import pytest
from cryptography import x509

from agent.cli import main


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A new authority."""
    assert main(["ca", "init", str(tmp_path / "ca")]) == 0
    capsys.readouterr()
    return tmp_path / "ca"


def test_a_server_gets_a_certificate_for_its_hosts_and_a_client_for_its_name(folder: Path, tmp_path: Path) -> None:
    """Each for one purpose; the key is for its owner alone."""
    main(["ca", "issue", str(folder), "centre.broker", "--host", "broker.example", "--out", str(tmp_path)])
    main(["ca", "issue", str(folder), "centre.collector", "--out", str(tmp_path)])

    found = {
        name: x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
        for name in ("centre.broker", "centre.collector")
    }
    assert found["centre.broker"].get_values_for_type(x509.DNSName) == ["broker.example"]
    assert found["centre.collector"].get_values_for_type(x509.DNSName) == []
    assert stat.S_IMODE((tmp_path / "centre.broker.key").stat().st_mode) == 0o600


def test_who_has_a_certificate_is_listed_until_it_is_revoked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And then, too."""
    main(["ca", "issue", str(folder), "centre.reader", "--out", str(tmp_path)])
    states = []
    for words in ([], ["revoke", str(folder), "centre.reader"]):
        if words:
            assert main(["ca", *words]) == 0
        capsys.readouterr()
        main(["ca", "list", str(folder), "--json"])
        states.append([(row["name"], row["state"]) for row in json.loads(capsys.readouterr().out)])

    assert states == [[("centre.reader", "valid")], [("centre.reader", "revoked")]]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["init", "{ca}"], "there is an authority already"),
        (["token", "{ca}", "centre.collector"], "is no gateway"),
        (["issue", "{ca}", "campus-01"], "is no name of the centre"),
        (["issue", "{ca}", "centre.broker", "--host", "a b"], "is no host name"),
        (["issue", "{ca}", "centre.broker", "--days", "9999"], "longer than the authority itself lives"),
        (["issue", "{ca}", "centre.broker", "--out", "{ca}/ca.pem"], "is no folder"),
        (["issue", "{ca}", "centre.broker", "--out", "/proc"], "cannot write centre.broker.key"),
        (["revoke", "{ca}", "nobody"], "has no certificate that is valid"),
        (["list", "{ca}/enrolled"], "there is no authority here"),
        (["serve", "{ca}"], "--host: missing"),
        (["serve", "{ca}", "--host", "h", "--http", "8443"], "expected HOST:PORT"),
        (["check", "{ca}", "mqtt://127.0.0.1"], "is not encrypted"),
    ],
)
def test_a_wrong_word_is_wrong_input(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    """Exit code 2, and what was expected."""
    code = main(["ca", *(word.format(ca=folder) for word in words)])

    assert code == 2
    assert complaint in capsys.readouterr().err
