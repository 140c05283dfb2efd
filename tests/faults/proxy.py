"""A TCP connection that misbehaves as it is told to: slow, deaf, cut, flapping, in crumbs, or with wrong bits.

::

    with faulty_line("127.0.0.1", 1883, seed=7) as line:
        ...  # clients connect to line.port
        line.hole()  # everything stays open, and nothing arrives any more
        line.mend()

The proxy lives in a thread of its own. What happens by chance follows from the seed.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random

from tests.broker import free_port

Rewrite = Callable[[bytes], bytes]

_CHUNK = 16_384
_NO_LINGER = struct.pack("ii", 1, 0)  # closing then sends a reset


class FaultyLine:
    """One listener that hands on to one target. Its attributes may be changed at any time."""

    def __init__(self, host: str, port: int, seed: int) -> None:
        self.port = free_port()
        self.latency_s = 0.0  # each way
        self.bytes_per_s = 0.0  # each way; 0: as fast as it goes
        self.crumbs = False  # every byte string is cut into pieces at random places
        self.flip_share = 0.0  # of the chunks: one bit of them is wrong
        self.up: Rewrite | None = None  # what is made of the bytes of a client, for each connection's stream
        self.down: Callable[[Callable[[bytes], None]], Rewrite] | None = None  # makes what rewrites the answers
        self.connections = 0  # since the start
        self.refused = 0
        self.carried = 0  # bytes towards the target
        self._target = (host, port)
        self._chance = Random(seed)
        self._open = asyncio.Event()
        self._cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        """Host and port, as in a URL."""
        return f"127.0.0.1:{self.port}"

    def hole(self) -> None:
        """Swallow everything from now on; connections stay open, new ones are taken and get no answer."""
        self._call(self._open.clear)

    def cut(self, *, reset: bool = True) -> None:
        """End all connections, by a reset or politely, and take none any more."""
        self._call(lambda: self._end_all(stay_away=True, reset=reset))

    def drop(self, *, reset: bool = True) -> None:
        """End all connections once; new ones are welcome."""
        self._call(lambda: self._end_all(stay_away=False, reset=reset))

    def mend(self) -> None:
        """Work again."""
        self._call(self._work)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)

    def stop(self) -> None:
        """End everything."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _call(self, act: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            act()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(5)

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def _work(self) -> None:
        self._cut = False
        self._open.set()

    def _end_all(self, *, stay_away: bool, reset: bool) -> None:
        self._cut = stay_away
        for writer in tuple(self._writers):
            _end(writer, reset=reset)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            self.refused += 1
            _end(writer, reset=True)
            return
        self.connections += 1
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            answers, beyond = await asyncio.open_connection(*self._target)
            self._writers.add(beyond)
            rewrite = self.down(beyond.write) if self.down else None
            ways = (self._carry(reader, beyond, self.up, up=True), self._carry(answers, writer, rewrite, up=False))
            await asyncio.gather(*ways)
        except OSError:
            pass
        finally:
            for each in (writer, beyond):
                if each is not None:
                    self._writers.discard(each)
                    _end(each, reset=False)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rewrite: Rewrite | None, *, up: bool
    ) -> None:
        """Hand on one direction until it ends. Bytes under way are late, not lost: each chunk has its own due time."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(self._send(queue, writer))
        try:
            while data := await reader.read(_CHUNK):
                if up:
                    self.carried += len(data)
                if rewrite is not None:
                    data = rewrite(data)
                if data:  # nothing would mean the end
                    queue.put_nowait((self._loop.time() + self.latency_s, self._flipped(data)))
            queue.put_nowait((self._loop.time() + self.latency_s, b""))
            await sending
        finally:
            sending.cancel()
            _end(writer, reset=False)

    async def _send(self, queue: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                due_s, data = await queue.get()
                if not data:
                    return
                await asyncio.sleep(max(0.0, due_s - self._loop.time()))
                for piece in self._pieces(data):
                    await self._open.wait()
                    writer.write(piece)
                    await writer.drain()
                    if self.bytes_per_s:
                        await asyncio.sleep(len(piece) / self.bytes_per_s)
                    elif self.crumbs:
                        await asyncio.sleep(0.002)  # else the kernel glues them together again

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        most = 8 if self.crumbs else 48 if self.bytes_per_s else len(data)
        while data:
            size = self._chance.randint(1, most) if self.crumbs else most
            yield data[:size]
            data = data[size:]

    def _flipped(self, data: bytes) -> bytes:
        if not self.flip_share or self._chance.random() >= self.flip_share:
            return data
        wrong = bytearray(data)
        wrong[self._chance.randrange(len(wrong))] ^= 1 << self._chance.randrange(8)
        return bytes(wrong)


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset and (raw := writer.get_extra_info("socket")) is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    if reset:
        writer.transport.abort()
    else:
        writer.close()


@contextmanager
def faulty_line(host: str, port: int, seed: int) -> Iterator[FaultyLine]:
    """Run a proxy in front of a target."""
    line = FaultyLine(host, port, seed)
    line.start()
    try:
        yield line
    finally:
        line.stop()
