"""An evidence file to play with: a gateway's day with a gap and a change of key, and hands that damage it."""

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

from agent.deliver import chain
from agent.deliver.identity.keys import public_pem
from collector.ingest.receipts import Signer
from collector.proof.export import export
from collector.proof.source import opened
from collector.proof.verdict import Verdict
from collector.proof.walk import follow
from tests.collector.desk import Desk
from tests.collector.gateway import START_S, FakeGateway, total

Members = dict[str, bytes]

RECORDS = "records/campus-01/9f86d081.jsonl"
HEADS = "heads/campus-01/9f86d081.txt"


def gateway_day(desk: Desk) -> FakeGateway:
    """Let a gateway tell four windows, drop some, change its key, and go on."""
    gateway = FakeGateway()
    desk.commit(gateway.status(), gateway.event("first start", None, "start"))
    desk.commit(*gateway.windows(4))  # 2 to 9
    dropped = [gateway.summary(window=window) for window in range(4, 9)]  # 10 to 14
    desk.commit(dropped[0], dropped[3])  # these two arrived all the same
    desk.commit(gateway.gap(10, 14, total("feeder-1", 4, 8, 15_000.0)), gateway.checkpoint())  # 15, 16
    desk.commit(gateway.rotate(), gateway.checkpoint())  # 17, 18
    gateway.use_next_key()
    desk.commit(gateway.summary(window=9), gateway.checkpoint(), gateway.status())  # 19, 20
    desk.commit(gateway.summary(window=10), gateway.alarm(), gateway.checkpoint())  # 21 to 23
    return gateway


def write(desk: Desk, target: Path, hours: float = 24.0, from_s: int = START_S) -> None:
    """Export some hours of the gateway."""
    export(
        desk.database,
        target,
        gateways=["campus-01"],
        site=None,
        from_s=from_s,
        to_s=from_s + int(hours * 3600),
        collector_key=desk.signer.public_key,
        sign=desk.signer.signature,
    )


def unpacked(path: Path) -> Members:
    """Give the members of a file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, members: Members) -> Path:
    """Write members as a file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def resign(members: Members) -> None:
    """Let all sums fit again, under a collector's key of one's own: what a thorough forger does."""
    forger = Signer(chain.new_key())
    members["collector.pem"] = public_pem(forger.public_key)
    rest = sorted(name for name in members if not name.startswith("SHA256SUMS"))
    sums = "".join(f"{hashlib.sha256(members[name]).hexdigest()}  {name}\n" for name in rest).encode()
    members["SHA256SUMS"], members["SHA256SUMS.sig"] = sums, forger.signature(sums)


def lines_of(members: Members) -> list[bytes]:
    """Give the records."""
    return members[RECORDS].splitlines(keepends=True)


def edit(change: Callable[[list[bytes]], None]) -> Callable[[Members], None]:
    """Make a damage of the records of which every sum fits again."""

    def damage(members: Members) -> None:
        lines = lines_of(members)
        change(lines)
        members[RECORDS] = b"".join(lines)
        resign(members)

    return damage


def judged(path: Path, *keys: str) -> Verdict:
    """Check a file as ``flatwatt verify`` does."""
    with opened(path, keys) as source:
        return Verdict(source, [follow(segment) for segment in source.segments])


def by_hand(script: str, path: Path, folder: Path) -> tuple[int, str]:
    """Check a file with the page's script; gives exit code and output."""
    folder.mkdir()
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    command = ["bash", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
