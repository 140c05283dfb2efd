"""The folder ``identity`` beside the gateway's key: what enrolment left there.

::

    certificate.pem   ours, with its chain; written last, so where it is, all is
    ca.pem            the authority that broker and enrolment service prove to belong to
    collector.pem     public key that signs receipts, if the centre gave one
    operator.pem      public key that signs commands, if the centre gave one
    url               of the enrolment service, for renewal
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.deliver import chain
from agent.deliver.durable import write_file
from agent.deliver.identity.enrolment import Centre, Grant
from agent.errors import InputError

FOLDER = "identity"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the centre says we are, and until when."""

    centre: Centre
    name: str
    public_key: str
    not_before_s: float
    not_after_s: float


def read_identity(folder: Path) -> Identity | None:
    """Read the folder; None where the gateway is not enrolled. :class:`InputError` where it is damaged."""
    path = folder / "certificate.pem"
    if not path.exists():
        return None
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        centre = Centre((folder / "url").read_text().strip(), (folder / "ca.pem").read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: cannot be used ({error}); enrol again with `flatwatt enrol`") from None
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InputError(f"{path}: is not for a key of ours; enrol again with `flatwatt enrol`")
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return Identity(
        centre,
        str(names[0].value) if names else "",
        chain.public_text(key),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def keep_identity(folder: Path, centre: Centre, grant: Grant) -> None:
    """Write what the centre granted. The certificate comes last: a crash leaves the former one, or none."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        trusted = {"collector.pem": grant.collector, "operator.pem": grant.operator}
        for name, pem in {"url": centre.url, "ca.pem": centre.ca_pem, **trusted}.items():
            if pem is not None:
                write_file(folder / name, pem.encode())
        write_file(folder / "certificate.pem", grant.certificate.encode())
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None
