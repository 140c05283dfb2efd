"""The shipped authority in the folder of one test, with everybody's keys and certificates as a broker reads them."""

import ssl
import time
from pathlib import Path

from agent.deliver import chain
from agent.deliver.durable import write_file
from agent.deliver.identity.keys import private_pem
from collector.ca.authority import Authority as Shipped
from collector.ca.authority import create
from tests.collector.ca.centre import request


class Authority:
    """Issues certificates into a folder: ``ca.pem``, ``NAME.pem`` and ``NAME.key``, and ``crl.pem``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "ca.key").exists():
            create(folder, "authority of a test", time.time())
        self.shipped = Shipped.open(folder, time.time)
        self.shipped.publish()

    def issue(self, name: str, *, days: float = 1.0) -> None:
        """Write a certificate and its key: of the centre where the name has a dot, else of a gateway that enrols."""
        hosts = ("127.0.0.1", "localhost") if name == "centre.broker" else ()
        key, certificate = self.shipped.issue(name, days, hosts) if "." in name else self._enrol(name, days)
        write_file(self._folder / f"{name}.key", key)
        write_file(self._folder / f"{name}.pem", certificate)

    def revoke(self, name: str) -> None:
        """Put the certificates of a name on the list."""
        self.shipped.revoke(name)

    def context(self, name: str) -> ssl.SSLContext:
        """Give what the client of this name connects with."""
        context = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
        context.load_cert_chain(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        return context

    def _enrol(self, name: str, days: float) -> tuple[bytes, bytes]:
        key = chain.new_key()
        secret = self.shipped.token(name, 1.0, replace=True).split(".")[1]
        certificate = self.shipped.enrol(secret, request(name, key), days)
        return private_pem(key), certificate.encode()
