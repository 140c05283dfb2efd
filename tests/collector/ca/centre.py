"""`flatwatt ca serve` as a process, and a gateway that enrols there."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent.deliver.identity.enrolment import Centre, Grant, Token
from agent.deliver.identity.keys import GatewayKey, load_gateway_key
from collector.ca.authority import Authority, create

START_S = 60.0  # a busy machine; what works takes a hundredth of it


class Enrolment:
    """An authority in a folder, and its service on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        create(folder, "authority of a test", time.time())
        self.authority = Authority.open(folder, time.time)
        self.url = ""

    def enrol(self, gateway: str, key: GatewayKey) -> tuple[Centre, Grant]:
        """Do what `flatwatt enrol` does, with a token of its own."""
        token = Token.read(self.authority.token(gateway, 1.0, replace=False))
        centre = Centre.find(self.url, token.fingerprint)
        return centre, centre.enrol(token, gateway, key)


@contextlib.contextmanager
def enrolment(folder: Path, days: float = 1.0) -> Iterator[Enrolment]:
    """Run the service; certificates of gateways live so long."""
    service = Enrolment(folder)
    log = folder / "service.log"
    words = ["ca", "serve", str(folder), "--http", "127.0.0.1:0", "--host", "127.0.0.1", "--days", str(days)]
    with log.open("wb") as file, subprocess.Popen([sys.executable, "-m", "agent.cli", *words], stderr=file) as process:
        try:
            service.url = f"https://127.0.0.1:{_port(log)}"
            yield service
        finally:
            process.kill()
            service.authority.close()


def _port(log: Path) -> int:
    deadline = time.monotonic() + START_S
    while not (found := re.search(r"enrolment: port (\d+)", log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.03)
    return int(found[1])


def request(name: str, private: ec.EllipticCurvePrivateKey) -> str:
    """Give a certificate request."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(private, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def key(folder: Path, name: str = "key.pem") -> GatewayKey:
    """Make a gateway's key."""
    return load_gateway_key(folder / name)
