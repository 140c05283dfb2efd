"""A program of a case: started, killed, frozen, and watched for the memory that it takes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
Crash = tuple[str, str, int]  # function, before or after, number of the call
PATIENCE_S = 120.0  # for what takes seconds on two idle cores


class Process:
    """One verb of flatwatt, or another program; its output goes to ``<name>.log``."""

    def __init__(self, folder: Path, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.peak_mb = 0.0
        self._folder = folder
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *prefix: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it, behind ``prefix``; its earlier output stays in the log."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **(environment or {})}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, *self._command], cwd=self._folder, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id; it must have been started."""
        assert self._process
        return self._process.pid

    @property
    def started(self) -> bool:
        """Whether it ever was."""
        return self._process is not None

    def running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it as a crash does."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and give its exit code."""
        assert self._process
        if self.running():
            self._process.send_signal(how)
        try:
            return self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20.0)
            raise AssertionError(f"{self.name} did not end within 20 s of {how.name}:\n{self.tail()}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP."""
        assert self._process
        self._process.send_signal(number)

    def finish(self, patience_s: float = PATIENCE_S) -> int:
        """Wait until it ends by itself; give its exit code."""
        assert self._process
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {patience_s:.0f} s:\n{self.tail()}") from None

    def says(self, text: str, patience_s: float = PATIENCE_S, *, times: int = 1) -> float:
        """Wait until its log holds this text so often; give how long that took."""
        began_s = time.monotonic()
        while not self.log.exists() or self.log.read_text(errors="replace").count(text) < times:
            waited_s = time.monotonic() - began_s
            assert waited_s < patience_s, f"{self.name} has not said {text!r} in {patience_s:.0f} s:\n{self.tail()}"
            assert self.running(), f"{self.name} ended before it said {text!r}:\n{self.tail()}"
            time.sleep(0.02)
        return time.monotonic() - began_s

    def tail(self, lines: int = 15) -> str:
        """Give the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        """Note the most memory that it ever took."""
        path = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            try:
                lines = path.read_text().splitlines()
            except OSError:
                return
            peak_kb = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
            self.peak_mb = max(self.peak_mb, peak_kb / 1024)
            time.sleep(0.25)


def flatwatt(folder: Path, *words: str, kill: Crash | None = None, clock: Path | None = None) -> Process:
    """Make a verb ready to be started; ``kill`` and ``clock`` are those of :mod:`tests.faults.rig`."""
    rig = [*(("--kill", kill[0], kill[1], str(kill[2])) if kill else ()), *(("--clock", str(clock)) if clock else ())]
    module = ["tests.faults.rig", *rig, "--"] if rig else ["agent.cli"]
    return Process(folder, words[0], [sys.executable, "-m", *module, *words])
