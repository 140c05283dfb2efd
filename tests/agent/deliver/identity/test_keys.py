import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from agent.deliver import chain
from agent.deliver.identity.keys import load_gateway_key, load_public_key
from agent.errors import InputError


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Write any private key."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write the public half."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_the_first_start_makes_a_key_for_its_owner_only(tmp_path: Path) -> None:
    """The same key is found again at the next start, and no draft stays behind."""
    path = tmp_path / "state" / "gateway.key"

    made = load_gateway_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert load_gateway_key(path).public_key == made.public_key
    assert [file.name for file in path.parent.iterdir()] == ["gateway.key"]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """The complaint says what to type."""
    path = tmp_path / "gateway.key"
    load_gateway_key(path)
    path.chmod(0o640)

    with pytest.raises(InputError, match="chmod 600"):
        load_gateway_key(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "P-256"),
    ],
    ids=["empty", "garbage", "P-384", "Ed25519"],
)
def test_what_is_no_key_of_ours_is_refused_and_kept(tmp_path: Path, content: bytes, complaint: str) -> None:
    """An identity is never replaced silently."""
    path = tmp_path / "gateway.key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(InputError, match=complaint):
        load_gateway_key(path)

    assert path.read_bytes() == content


def test_a_link_that_leads_nowhere_is_no_place_for_another_key(tmp_path: Path) -> None:
    """The service's credential is not there for who enrols by hand: he would make another gateway of it."""
    link = tmp_path / "key.pem"
    link.symlink_to(tmp_path / "credentials/key.pem")

    with pytest.raises(InputError, match="which is not there, and no key takes its place"):
        load_gateway_key(link)

    assert link.is_symlink()


def test_a_folder_in_place_of_the_key_is_named(tmp_path: Path) -> None:
    """Its mode is not the trouble."""
    (tmp_path / "key.pem").mkdir()

    with pytest.raises(InputError, match=r"key.pem: cannot read this private key: Is a directory"):
        load_gateway_key(tmp_path / "key.pem")


def test_a_checkpoint_signs_the_head_before_it(tmp_path: Path) -> None:
    """Record 42 vouches for records 1 to 41, and anyone with the public key can check it."""
    key = load_gateway_key(tmp_path / "gateway.key")

    checkpoint = key.checkpoint("campus-01", "9f86d081", 42, b"\x00\xff", 1767225600)

    assert (checkpoint.seq, checkpoint.through, checkpoint.head, checkpoint.key) == (42, 41, "00ff", key.key_id)
    text = chain.checkpoint_text("campus-01", "9f86d081", 41, "00ff", 1767225600)
    chain.verify(key.public_key, text, checkpoint.sig)


def test_the_collector_key_is_read_from_pem(tmp_path: Path) -> None:
    """It is given in the form in which receipts carry it; anything else is refused by name."""
    key = chain.new_key()
    path = tmp_path / "collector.pem"
    path.write_bytes(public_pem(key))

    assert load_public_key(path) == chain.public_text(key)

    path.write_bytes(b"no key")
    with pytest.raises(InputError, match=r"collector\.pem: not a public key"):
        load_public_key(path)
