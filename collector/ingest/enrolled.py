"""Which key a gateway was let in with: a folder with ``GATEWAY.pem`` for each, as ``flatwatt ca`` writes it.

The folder is read whenever a gateway shows a key that is not pinned, so a gateway is enrolled or replaced while
the collector runs. Without a folder the first key that a gateway shows is trusted from then on.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from agent.deliver.identity.keys import load_public_key
from agent.errors import InputError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The public keys of the gateways that may report."""

    folder: Path | None = None

    def admits(self, gateway: str, public_key: str) -> bool:
        """Say whether this key may be pinned for this gateway; where nobody is enrolled, any first one may.

        >>> Enrolled().admits("campus-01", "MFkw")
        True
        """
        return self.folder is None or self.public_key(gateway) == public_key

    def public_key(self, gateway: str) -> str | None:
        """Give the key that a gateway was enrolled with; None where it was not, or its file is no key."""
        if self.folder is None:
            return None
        path = self.folder / f"{gateway}.pem"
        if not path.is_file():
            return None
        try:
            return load_public_key(path)
        except InputError as error:
            _log.warning("%s", error)
            return None
