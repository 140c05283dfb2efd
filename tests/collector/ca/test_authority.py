"""Whom the authority lets in, for how long, and what it remembers; without a network."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.deliver import chain
from agent.deliver.identity.keys import load_public_key
from agent.errors import EvidenceError, InputError
from collector.ca import authority
from collector.ca.authority import Authority, create
from collector.ca.names import centre_name, gateway_name
from collector.ca.register import Register
from tests.collector.ca.centre import request

NOW_S = 1_767_225_600.0
DAY_S = 86_400.0


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        """Give the time."""
        return self.now_s


class Desk:
    """An authority in a folder, and the shortest way to ask it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watch = Watch()
        create(folder, "authority", NOW_S)
        self.authority = Authority.open(folder, self.watch)

    def secret(self, gateway: str = "campus-01", *, hours: float = 24.0, replace: bool = False) -> str:
        """Give out a token; give its secret part."""
        return self.authority.token(gateway, hours, replace=replace).split(".")[1]

    def enrol(self, secret: str, key: ec.EllipticCurvePrivateKey, gateway: str = "campus-01") -> x509.Certificate:
        """Show a token."""
        pem = self.authority.enrol(secret, request(gateway, key), 90.0, "10.0.0.9")
        return x509.load_pem_x509_certificate(pem.encode())

    def renew(
        self, key: ec.EllipticCurvePrivateKey, former: ec.EllipticCurvePrivateKey | None = None
    ) -> x509.Certificate:
        """Ask again, for the same key or for one that the former vouches for."""
        text = chain.rotate_text("campus-01", chain.public_text(key))
        proof = None if former is None else chain.sign(former, text)
        return x509.load_pem_x509_certificate(self.authority.renew(request("campus-01", key), proof, 90.0).encode())

    def enrolled(self) -> str | None:
        """Give the key that the collector pins."""
        path = self.folder / "enrolled/campus-01.pem"
        return load_public_key(path) if path.exists() else None

    def revoked(self) -> set[int]:
        """Give the serial numbers on the list."""
        return {entry.serial_number for entry in self.crl()}

    def crl(self) -> x509.CertificateRevocationList:
        """Give the list that the broker reads."""
        return x509.load_pem_x509_crl((self.folder / "crl.pem").read_bytes())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A new authority."""
    desk = Desk(tmp_path / "ca")
    desk.authority.publish()
    yield desk
    desk.authority.close()


def test_an_authority_is_made_once_and_keeps_its_key_to_itself(desk: Desk) -> None:
    """Another one in its place would shut out every gateway."""
    modes = {name: stat.S_IMODE((desk.folder / name).stat().st_mode) for name in ("ca.key", "register.db", "ca.pem")}

    assert modes == {"ca.key": 0o600, "register.db": 0o600, "ca.pem": 0o644}
    with pytest.raises(InputError, match="there is an authority already"):
        create(desk.folder, "another", NOW_S)


def test_an_authority_whose_key_others_may_read_does_not_work(desk: Desk) -> None:
    """Who has the key lets in whom he likes."""
    (desk.folder / "ca.key").chmod(0o640)

    with pytest.raises(InputError, match="others may read the authority's key"):
        Authority.open(desk.folder, desk.watch)


@pytest.mark.parametrize("name", ["", "+", "#", "a/b", "a+", "Campus", "campus.01", "a" * 33, "campus-01\n", "é"])
def test_a_name_that_a_rule_of_the_broker_could_misread_is_no_gateway(name: str) -> None:
    """CVE-2017-7650: a client named + was everybody."""
    with pytest.raises(InputError, match="is no gateway"):
        gateway_name(name)


@pytest.mark.parametrize("name", ["", "collector", "centre.+", "centre.#", ".", "a..b", "centre./", "a.b.c.d"])
def test_a_part_of_the_centre_has_a_dot_and_no_wildcard(name: str) -> None:
    """So no gateway can have its name."""
    with pytest.raises(InputError, match="is no name of the centre"):
        centre_name(name)


def test_a_token_is_kept_as_a_hash_alone(desk: Desk) -> None:
    """Who reads the register cannot enrol with it."""
    secret = desk.secret()

    files = [path.read_bytes() for path in desk.folder.iterdir() if path.is_file()]
    assert not any(secret.encode() in content for content in files)


def test_a_token_works_once(desk: Desk) -> None:
    """Again for the same key, whose answer may have been lost on its way; never for another."""
    secret, key = desk.secret(), chain.new_key()
    desk.enrol(secret, key)

    desk.enrol(secret, key)
    with pytest.raises(EvidenceError, match="this token was used already"):
        desk.enrol(secret, chain.new_key())


def test_a_token_ends_with_its_time(desk: Desk) -> None:
    """A day by default."""
    secret = desk.secret(hours=24.0)
    desk.watch.now_s += DAY_S

    with pytest.raises(EvidenceError, match="this token has expired"):
        desk.enrol(secret, chain.new_key())


def test_a_token_is_for_one_gateway(desk: Desk) -> None:
    """Another one does not get in with it, and does not use it up."""
    secret = desk.secret("campus-01")

    with pytest.raises(EvidenceError, match="this token is for another gateway"):
        desk.enrol(secret, chain.new_key(), "campus-02")
    desk.enrol(secret, chain.new_key(), "campus-01")


def test_a_newer_token_voids_the_one_before(desk: Desk) -> None:
    """Whoever lost one asks for another, and need not fear the first."""
    lost = desk.secret()
    desk.secret()

    with pytest.raises(EvidenceError, match="a newer one replaced it"):
        desk.enrol(lost, chain.new_key())


def test_a_gateway_is_replaced_by_a_token_that_says_so(desk: Desk) -> None:
    """The old key's certificate is on the list, the collector pins the new key, and the old one gets nothing more."""
    former, following = chain.new_key(), chain.new_key()
    certificate = desk.enrol(desk.secret(), former)
    with pytest.raises(InputError, match=r"campus-01 is enrolled with key .*--replace"):
        desk.secret()

    desk.enrol(desk.secret(replace=True), following)

    assert desk.revoked() == {certificate.serial_number}
    assert desk.enrolled() == chain.public_text(following)
    with pytest.raises(EvidenceError, match="is enrolled with another key"):
        desk.renew(former)


def test_an_enrolled_key_gets_a_certificate_long_after_the_last_one_ended(desk: Desk) -> None:
    """A gateway that was off for a year comes back by itself."""
    key = chain.new_key()
    desk.enrol(desk.secret(), key)
    desk.watch.now_s += 400 * DAY_S

    certificate = desk.renew(key)

    assert certificate.not_valid_after_utc.timestamp() == desk.watch.now_s + 90 * DAY_S


def test_the_next_key_is_let_in_where_the_present_one_signed_it(desk: Desk) -> None:
    """And the present one no more; a stranger's signature is none."""
    first, second, stranger = chain.new_key(), chain.new_key(), chain.new_key()
    certificate = desk.enrol(desk.secret(), first)
    with pytest.raises(EvidenceError, match="which did not sign this change"):
        desk.renew(second, stranger)

    desk.renew(second, first)

    assert desk.enrolled() == chain.public_text(second)
    assert desk.revoked() == {certificate.serial_number}
    with pytest.raises(EvidenceError, match="which does not vouch"):
        desk.renew(first)


def test_a_stolen_gateway_cannot_fill_the_register(desk: Desk) -> None:
    """Sixty certificates an hour are more than an honest one needs in ten years."""
    key = chain.new_key()
    desk.enrol(desk.secret(), key)
    for _ in range(59):
        desk.renew(key)

    with pytest.raises(EvidenceError, match="had 60 certificates within an hour"):
        desk.renew(key)
    desk.watch.now_s += 3601
    desk.renew(key)


def test_a_revoked_gateway_is_out(desk: Desk) -> None:
    """At the broker by the list, at the collector by its missing key, and here for good."""
    key = chain.new_key()
    certificate = desk.enrol(desk.secret(), key)

    desk.authority.revoke("campus-01")

    assert desk.revoked() == {certificate.serial_number}
    assert desk.enrolled() is None
    with pytest.raises(EvidenceError, match="is not enrolled, or was revoked"):
        desk.renew(key)


def test_who_is_revoked_while_he_asks_is_out_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line may revoke at any moment; no certificate slips past the list."""
    key = chain.new_key()
    desk.enrol(desk.secret(), key)
    command_line = Authority.open(desk.folder, desk.watch)
    transaction, meanwhile = Register.transaction, [command_line.revoke]

    @contextmanager
    def interrupted(register: Register) -> Iterator[None]:
        with transaction(register):
            yield
        if meanwhile:
            meanwhile.pop()("campus-01")

    monkeypatch.setattr(Register, "transaction", interrupted)
    certificate = desk.renew(key)

    assert certificate.serial_number in desk.revoked()
    assert desk.enrolled() is None


def test_strangers_cannot_fill_the_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may be refused from any number of addresses; an hour later their tries are told again."""
    monkeypatch.setattr(authority, "_REFUSALS_AN_HOUR", 3)
    for after_s in (0, 0, 0, 0, 0, 3601):
        desk.watch.now_s += after_s
        with pytest.raises(EvidenceError):
            desk.enrol("guessed", chain.new_key())

    assert [what for _, what, *_ in desk.authority.lines()].count("refused") == 4


def test_the_list_lives_a_month_and_forgets_what_expired(desk: Desk) -> None:
    """Mosquitto lets nobody in with a list that is over, so it is written anew each day."""
    desk.enrol(desk.secret(), chain.new_key())
    desk.authority.revoke("campus-01")
    listed = len(desk.revoked())
    desk.watch.now_s += 91 * DAY_S

    desk.authority.publish()

    ends = desk.crl().next_update_utc
    assert ends is not None
    assert (listed, len(desk.revoked()), ends.timestamp()) == (1, 0, desk.watch.now_s + 30 * DAY_S)


@pytest.mark.parametrize(
    "asked", ["", "x" * 5000, request("campus-01", chain.new_key())[:300], "-----BEGIN CERTIFICATE REQUEST-----"]
)
def test_what_is_no_request_is_refused(desk: Desk, asked: str) -> None:
    """Without a traceback, whatever it is."""
    with pytest.raises(EvidenceError, match="cannot be read"):
        desk.authority.renew(asked, None, 90.0)


def test_everything_is_in_a_log_that_only_grows(desk: Desk) -> None:
    """An auditor finds who was let in, who tried, and from where; nobody takes a line out."""
    desk.enrol(desk.secret(), chain.new_key())
    with pytest.raises(EvidenceError):
        desk.enrol("guessed", chain.new_key())
    desk.authority.revoke("campus-01")

    lines = [(what, sender) for _, what, _, sender, _ in desk.authority.lines() if what != "crl"]

    assert lines == [
        ("token", ""), ("enrolled", "10.0.0.9"), ("issued", "10.0.0.9"), ("refused", "10.0.0.9"), ("revoked", ""),
    ]  # fmt: skip
    with sqlite3.connect(desk.folder / "register.db") as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute("DELETE FROM log")
