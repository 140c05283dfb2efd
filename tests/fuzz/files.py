"""Files that somebody else may have written: configurations, and spools with their logs."""

from collections import Counter
from pathlib import Path
from random import Random

from agent.config import load_gateway
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError, InputError
from tests.agent.deliver.centre import GATEWAY, fill
from tests.fuzz.mutate import mutated

EXAMPLE = Path(__file__).parents[2] / "configs" / "gateway.example.toml"


class Config:
    """``gateway.toml``: a configuration, or every mistake with its line; never anything else."""

    def __init__(self, folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._path = folder / "gateway.toml"
        self._right = EXAMPLE.read_bytes()

    def feed(self, rng: Random) -> None:
        """Read a spoilt file."""
        self._path.write_bytes(mutated(rng, self._right))
        try:
            config = load_gateway(self._path)
        except InputError as error:
            self.refused["located" if error.complaints else "unreadable"] += 1
            return
        assert config.meters, "a gateway without a meter was accepted"
        self.accepted += 1

    def close(self) -> None:
        """Nothing to let go."""


class SpoolFile:
    """A spool's file and its log: what is read from it was written to it, or is reported as lost."""

    def __init__(self, folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._folder = folder / "spools"
        self._folder.mkdir()
        spool = Spool(self._folder / "right.db", GATEWAY)
        fill(spool, 30)
        self._said = {(spool.stream, envelope.seq): envelope.payload for envelope in spool.pending(0, 100)}
        self._files = {path.name.removeprefix("right.db"): path.read_bytes() for path in self._folder.glob("right.db*")}
        spool.close()

    def feed(self, rng: Random) -> None:
        """Open a spoilt copy: a record keeps its bytes under its name, and one that vanished is declared."""
        path = self._folder / "spool.db"
        for old in self._folder.glob("spool.db*"):
            old.unlink()
        suffix = rng.choice(list(self._files))
        for name, data in self._files.items():
            path.with_name(path.name + name).write_bytes(mutated(rng, data) if name == suffix else data)
        try:
            spool = Spool(path, GATEWAY)
        except FlatwattError as error:
            self.refused[type(error).__name__] += 1
            return
        try:
            self._check(spool)
        finally:
            spool.close()

    def _check(self, spool: Spool) -> None:
        kept = spool.pending(0, 1000)
        for envelope in kept:
            said = self._said.get((spool.stream, envelope.seq))
            assert said is None or said == envelope.payload, f"record {envelope.seq} has other bytes than were written"
        if spool.loss is None:
            assert len(kept) == len(self._said), f"{len(self._said) - len(kept)} records vanished and nobody was told"
            self.accepted += 1
        else:
            self.refused["put aside"] += 1

    def close(self) -> None:
        """Nothing to let go."""
