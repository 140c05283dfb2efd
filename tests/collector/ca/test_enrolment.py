"""Enrolment and renewal over HTTPS, against the service as a process."""

import http.client
import json
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent.cli import main
from agent.deliver.identity.enrolment import Centre, Token
from agent.deliver.identity.keys import load_public_key
from agent.errors import FlatwattError
from collector.ca.authority import create
from collector.ca.desk import REFUSAL_S, REFUSALS, Patience
from tests.collector.ca.centre import Enrolment, enrolment, key

GATEWAY = """
id = "campus-01"
state_dir = "state"
[site]
name = "Site"
kind = "office"
[mqtt]
url = "mqtts://127.0.0.1:8883"
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:9"
[[meter]]
id = "main"
bus = "tcp"
unit = 1
profile = "eastron_sdm630"
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolment]:
    """One service for all of these; each gateway has a name of its own."""
    with enrolment(tmp_path_factory.mktemp("authority")) as running:
        yield running


def test_a_gateway_enrols_with_a_token_and_keeps_its_key(
    service: Enrolment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The identity folder is for its owner alone; the centre has the public key, and never saw the private one."""
    config = tmp_path / "gateway.toml"
    config.write_text(GATEWAY)
    code = main(["ca", "token", str(service.folder), "campus-01"])
    token = capsys.readouterr().out.strip()

    code += main(["enrol", service.url, token, "-c", str(config)])

    identity = tmp_path / "state/identity"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [identity, *identity.iterdir()]}
    assert code == 0
    assert modes == {"identity": 0o700, "certificate.pem": 0o600, "ca.pem": 0o600, "url": 0o600}
    assert load_public_key(service.folder / "enrolled/campus-01.pem") == key(tmp_path / "state").public_key


def test_a_certificate_is_for_this_client_and_nothing_else(service: Enrolment, tmp_path: Path) -> None:
    """Name, purpose and life are decided by the authority."""
    _, grant = service.enrol("plain-01", key(tmp_path))

    certificate = x509.load_pem_x509_certificate(grant.certificate.encode())

    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert certificate.subject.rfc4514_string() == "CN=plain-01"
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not constraints.ca
    assert 1.0 <= (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 1.2


def test_the_centre_hands_out_whom_to_trust(service: Enrolment, tmp_path: Path) -> None:
    """The keys of collector and operator, as soon as a person put them into the folder."""
    assert main(["keys", "operator", str(tmp_path / "operator")]) == 0
    public = (tmp_path / "operator.pub").read_text()
    (service.folder / "operator.pem").write_text(public)

    _, grant = service.enrol("trusting-01", key(tmp_path))

    (service.folder / "operator.pem").unlink()
    assert (grant.operator, grant.collector) == (public, None)


def test_a_key_that_is_enrolled_gets_another_certificate_and_no_other_does(service: Enrolment, tmp_path: Path) -> None:
    """Its own signature is enough; a new key needs that of the one before."""
    first, second, stranger = (key(tmp_path, f"{name}.pem") for name in ("first", "second", "stranger"))
    centre, grant = service.enrol("turn-01", first)

    again = centre.renew("turn-01", first)
    followed = centre.renew("turn-01", second, first)

    assert len({grant.certificate, again.certificate, followed.certificate}) == 3
    with pytest.raises(FlatwattError, match="which did not sign this change"):
        centre.renew("turn-01", first, stranger)


def test_nobody_poses_as_the_centre(service: Enrolment, tmp_path: Path) -> None:
    """A token carries the fingerprint of its authority; who has another, or another name, gets no secret."""
    token = Token.read(service.authority.token("careful-01", 1.0, replace=False))
    elsewhere = Centre(service.url.replace("127.0.0.1", "localhost"), service.authority.certificate_pem)

    with pytest.raises(FlatwattError, match="is not of the authority that made the token"):
        Centre.find(service.url, "0" * 64)
    with pytest.raises(FlatwattError, match="Hostname mismatch"):
        elsewhere.enrol(token, "careful-01", key(tmp_path))


def test_nobody_slips_in_an_authority_behind_the_true_one(service: Enrolment, tmp_path: Path) -> None:
    """Who answers in the centre's place may send its certificate and add his own: that is not trusted."""
    create(tmp_path / "other", "other", 0.0)
    path = service.folder / "ca.pem"
    true = path.read_text()
    path.write_text(true + (tmp_path / "other/ca.pem").read_text())
    try:
        centre = Centre.find(service.url, service.authority.fingerprint)
    finally:
        path.write_text(true)

    assert centre.ca_pem.count("BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[" * 9000, 400), (b"\xff" * 100, 400), (b'{"csr": 1}', 400), (b"x" * 20_000, 413)],
)
def test_what_is_no_request_is_refused_and_bounded(service: Enrolment, body: bytes, status: int) -> None:
    """Whatever comes from the network is hostile."""
    connection = http.client.HTTPSConnection(
        service.url.removeprefix("https://"), timeout=5,
        context=ssl.create_default_context(cadata=service.authority.certificate_pem),
    )  # fmt: skip
    connection.request("POST", "/renew", body)

    response = connection.getresponse()

    assert (response.status, "error" in json.loads(response.read())) == (status, True)
    connection.close()


def test_who_is_refused_too_often_has_to_wait() -> None:
    """Ten times at once, then once in ten seconds; others are served meanwhile."""
    now_s = 0.0
    patience = Patience(lambda: now_s)
    for _ in range(REFUSALS):
        patience.refused("10.0.0.1")
    at_once = patience.is_over("10.0.0.1"), patience.is_over("10.0.0.2")

    now_s = REFUSAL_S + 0.1

    assert at_once == (True, False)
    assert not patience.is_over("10.0.0.1")


def test_an_authority_that_cannot_write_says_later_and_lets_nobody_in(service: Enrolment, tmp_path: Path) -> None:
    """A full disk at the centre costs a delay: the same token works once there is room."""
    token = Token.read(service.authority.token("later-01", 1.0, replace=False))
    centre = Centre.find(service.url, token.fingerprint)
    shown, aside = service.folder / "enrolled", service.folder / "aside"
    shown.rename(aside)

    with pytest.raises(FlatwattError, match="cannot sign now; try again later"):
        centre.enrol(token, "later-01", key(tmp_path))

    aside.rename(shown)
    assert "later-01" not in [issued.name for issued in service.authority.newest()]
    centre.enrol(token, "later-01", key(tmp_path))
