"""The certificate's renewal and the key's rotation, against the centre's service as a process."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from agent.deliver.identity.identity import FOLDER, Identity, keep_identity, read_identity
from agent.deliver.identity.keys import load_gateway_key, load_public_key
from agent.deliver.identity.renewal import Renewal, due_s, finish_rotation
from agent.errors import FlatwattError
from tests.collector.ca.centre import Enrolment, enrolment

DAY_S = 86_400.0
NOWHERE = "https://127.0.0.1:9"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolment]:
    """One service for all of these; certificates live for a day."""
    with enrolment(tmp_path_factory.mktemp("authority")) as running:
        yield running


class Gateway:
    """An enrolled gateway, and what its renewal tells."""

    def __init__(self, state_dir: Path, name: str, service: Enrolment) -> None:
        self.state_dir = state_dir
        self.name = name
        self.key = load_gateway_key(state_dir / "key.pem")
        self.reports: list[tuple[str, str]] = []
        self.signed_off: list[tuple[Mapping[str, str], str]] = []  # the event's data, and the key that signs it
        centre, grant = service.enrol(name, self.key)
        keep_identity(state_dir / FOLDER, centre, grant)

    @property
    def identity(self) -> Identity:
        """What the identity folder says."""
        identity = read_identity(self.state_dir / FOLDER)
        assert identity is not None
        return identity

    def renewal(self, ahead_s: float = 0.0) -> Renewal:
        """Give its renewal, by a clock that is ahead."""
        return Renewal(
            self.state_dir,
            self.name,
            self.key,
            lambda: time.time() + ahead_s,
            tell=lambda event, text: self.reports.append((event, text)),
            sign_off=lambda _text, data: self.signed_off.append((data, self.key.key_id)),
            first_pause_s=0.02,
        )

    def move_centre(self, url: str) -> None:
        """Have it look for the centre elsewhere."""
        (self.state_dir / FOLDER / "url").write_text(url)


async def run_until(renewal: Renewal, done: Callable[[], bool]) -> None:
    """Run the background task until something has happened."""
    running = asyncio.create_task(renewal.run())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while not done():  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.01)
    running.cancel()


def test_a_certificate_is_due_at_two_thirds_of_its_life(service: Enrolment, tmp_path: Path) -> None:
    """A little later for each gateway's own part, so that a fleet does not come at once."""
    gateway = Gateway(tmp_path, "due-01", service)
    identity = gateway.identity
    life_s = identity.not_after_s - identity.not_before_s

    assert 2 / 3 <= (due_s(identity) - identity.not_before_s) / life_s <= 2 / 3 + 0.05


@pytest.mark.parametrize("ahead_s", [0.75 * DAY_S, 300 * DAY_S], ids=["due", "expired long ago"])
async def test_what_is_due_is_renewed_in_the_background(service: Enrolment, tmp_path: Path, ahead_s: float) -> None:
    """By the same key, whether the certificate is still valid or not, and it is told."""
    gateway = Gateway(tmp_path, f"renews-{ahead_s:.0f}", service)
    before = (tmp_path / FOLDER / "certificate.pem").read_bytes()

    await run_until(gateway.renewal(ahead_s), lambda: bool(gateway.reports))

    assert gateway.reports[0][0] == "certificate_renewed"
    assert (tmp_path / FOLDER / "certificate.pem").read_bytes() != before
    assert gateway.identity.public_key == gateway.key.public_key


async def test_a_certificate_that_is_not_due_is_left_alone(service: Enrolment, tmp_path: Path) -> None:
    """Nothing is asked of the centre."""
    gateway = Gateway(tmp_path, "young-01", service)
    before = (tmp_path / FOLDER / "certificate.pem").read_bytes()
    running = asyncio.create_task(gateway.renewal().run())

    await asyncio.sleep(0.3)

    running.cancel()
    assert (tmp_path / FOLDER / "certificate.pem").read_bytes() == before


async def test_a_disk_that_cannot_be_read_for_a_while_does_not_end_it(service: Enrolment, tmp_path: Path) -> None:
    """A rotten certificate of the authority fails in OpenSSL; mended, it is renewed without a restart."""
    gateway = Gateway(tmp_path, "rotten-01", service)
    authority = tmp_path / FOLDER / "ca.pem"
    sound = authority.read_bytes()
    authority.write_bytes(b"rotten")

    def told() -> list[str]:
        if gateway.reports:
            authority.write_bytes(sound)
        return [event for event, _ in gateway.reports]

    await run_until(gateway.renewal(0.75 * DAY_S), lambda: "certificate_renewed" in told())

    assert told() == ["certificate_trouble", "certificate_renewed"]


async def test_a_centre_that_is_away_is_told_of_once_and_asked_again(service: Enrolment, tmp_path: Path) -> None:
    """The certificate stays; as soon as the centre is back, it is renewed."""
    gateway = Gateway(tmp_path, "patient-01", service)
    gateway.move_centre(NOWHERE)
    renewal = gateway.renewal(300 * DAY_S)
    running = asyncio.create_task(renewal.run())
    await asyncio.sleep(0.3)
    told = [event for event, _ in gateway.reports]

    gateway.move_centre(service.url)
    running.cancel()
    await run_until(renewal, lambda: len(gateway.reports) > 1)

    assert told == ["certificate_trouble"]
    assert gateway.reports[-1][0] == "certificate_renewed"


async def test_a_damaged_identity_is_trouble_and_nothing_worse(service: Enrolment, tmp_path: Path) -> None:
    """Measuring goes on without it."""
    gateway = Gateway(tmp_path, "damaged-01", service)
    (tmp_path / FOLDER / "certificate.pem").write_bytes(b"\x00" * 100)

    await run_until(gateway.renewal(), lambda: bool(gateway.reports))

    assert gateway.reports[0][0] == "certificate_trouble"
    assert "enrol again" in gateway.reports[0][1]


async def test_the_present_key_signs_which_one_follows_it(service: Enrolment, tmp_path: Path) -> None:
    """Everybody who signs does so by the new one from then on, and it is the enrolled one."""
    gateway = Gateway(tmp_path, "rotates-01", service)
    former = gateway.key.key_id

    await gateway.renewal().rotate()

    data, signer = gateway.signed_off[0]
    assert (signer, data["key"], data["public_key"]) == (former, gateway.key.key_id, gateway.key.public_key)
    assert gateway.identity.public_key == gateway.key.public_key
    assert load_gateway_key(tmp_path / "key.pem").public_key == gateway.key.public_key
    assert load_public_key(service.folder / "enrolled/rotates-01.pem") == gateway.key.public_key
    assert not (tmp_path / "key-next.pem").exists()


async def test_without_an_authority_the_event_alone_names_the_next_key(tmp_path: Path) -> None:
    """A collector that trusted the first key follows it."""
    key = load_gateway_key(tmp_path / "key.pem")
    signed: list[str] = []
    renewal = Renewal(
        tmp_path, "free-01", key, time.time,
        tell=lambda _event, _text: None, sign_off=lambda _text, data: signed.append(data["public_key"]),
    )  # fmt: skip

    await renewal.rotate()

    assert signed == [key.public_key]
    assert load_gateway_key(tmp_path / "key.pem").public_key == key.public_key


async def test_a_rotation_without_a_centre_fails_and_is_finished_later(service: Enrolment, tmp_path: Path) -> None:
    """Until then the present key signs: the collector knows no other."""
    gateway = Gateway(tmp_path, "later-01", service)
    former = gateway.key.key_id
    gateway.move_centre(NOWHERE)
    with pytest.raises(FlatwattError, match="no connection"):
        await gateway.renewal().rotate()
    signs = gateway.key.key_id

    gateway.move_centre(service.url)
    await run_until(gateway.renewal(), lambda: gateway.key.key_id != former)

    assert signs == former
    assert gateway.identity.public_key == load_gateway_key(tmp_path / "key.pem").public_key


async def test_a_rotation_that_outlives_its_composition_is_finished_by_the_next(
    service: Enrolment, tmp_path: Path
) -> None:
    """The centre may answer after a reload: a key that changed then would be on the disk, and another would sign."""
    gateway = Gateway(tmp_path, "reloads-01", service)
    before = gateway.renewal()
    rotating = asyncio.create_task(before.rotate())
    await asyncio.sleep(0)
    before.close()
    with pytest.raises(FlatwattError, match="composed anew"):
        await rotating
    gateway.key = load_gateway_key(tmp_path / "key.pem")

    await run_until(gateway.renewal(), lambda: not (tmp_path / "key-next.pem").exists())

    assert len(gateway.signed_off) == 1
    assert gateway.key.public_key == load_gateway_key(tmp_path / "key.pem").public_key == gateway.identity.public_key


@pytest.mark.parametrize("answer_kept", [True, False])
async def test_a_crash_in_the_middle_of_a_rotation_leaves_a_key_that_fits(
    service: Enrolment, tmp_path: Path, answer_kept: bool
) -> None:
    """Whether the centre's answer was on the disk already or not."""
    gateway = Gateway(tmp_path, f"crash-{answer_kept}".lower(), service)
    following = load_gateway_key(tmp_path / "key-next.pem")
    grant = gateway.identity.centre.renew(gateway.name, following, gateway.key)
    if answer_kept:
        keep_identity(tmp_path / FOLDER, gateway.identity.centre, grant)

    finish_rotation(tmp_path)
    gateway.key = load_gateway_key(tmp_path / "key.pem")
    await run_until(gateway.renewal(), lambda: not (tmp_path / "key-next.pem").exists())

    assert load_gateway_key(tmp_path / "key.pem").public_key == following.public_key == gateway.identity.public_key
