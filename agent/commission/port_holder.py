"""Which programs have a serial port open, as far as this user may see."""

from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid})"


def holders(port: Path, proc: Path = _PROC) -> list[Holder]:
    """Give the other processes that have ``port`` open; those of other users are hidden but for root."""
    device = port.resolve()
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            if any(descriptor.resolve() == device for descriptor in (folder / "fd").iterdir()):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.append(Holder(int(folder.name), command))
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return sorted(found, key=lambda holder: holder.pid)
