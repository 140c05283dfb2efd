"""Stands on one bus between agent and meters, and notes when the first request of a connection passes by."""

import selectors
import socket
import threading
import time

from bench.delivery.site import configure, wait
from tests.facility import Facility, Part


class Witness:
    """Passes bytes on, unchanged, in a thread of its own; ``first_s`` is the monotonic time of the first request.

    :meth:`arm` before the agent starts; what an agent before it left on the wire is another connection.
    """

    def __init__(self, port: int) -> None:
        self._meters = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._armed = False
        self.first_s: float | None = None
        threading.Thread(target=self._run, name="witness", daemon=True).start()

    @classmethod
    def on_the_first_bus(cls, parts: Facility) -> "Witness":
        """Put one between the first bus and the agent that is to be started."""
        text = (parts.folder / "gateway.toml").read_text()
        port = int(text.split('name = "b0"\nurl = "tcp://127.0.0.1:')[1].split('"')[0])
        witness = cls(port)
        configure(parts.folder, f"127.0.0.1:{port}", f"127.0.0.1:{witness.port}")
        return witness

    def start(self, agent: Part) -> float:
        """Start an agent, wait for its first request, and give the seconds that it took."""
        self.arm()
        began_s = time.monotonic()
        agent.start()
        wait(agent, lambda: self.first_s is not None)
        assert self.first_s is not None
        return self.first_s - began_s

    def arm(self) -> None:
        """Wait for the first request of the next connection."""
        self.first_s, self._armed = None, True

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                    self._pass_on(key.fileobj)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(self._meters)
        for end, other in ((near, far), (far, near)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        try:
            data = end.recv(4096)
            if data and self._armed:
                self.first_s, self._armed = time.monotonic(), False
            self._peers[end].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(end)

    def _drop(self, end: socket.socket) -> None:
        for each in (end, self._peers.pop(end)):
            self._selector.unregister(each)
            each.close()
            self._peers.pop(each, None)
