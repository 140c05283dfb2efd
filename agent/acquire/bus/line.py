"""How long a request takes on a bus: what the poll plan minimises, and what fills a line.

Sources: Modbus over Serial Line V1.02, 2.5.1 (framing, silences); Modbus Messaging on TCP/IP
V1.0b, 3.1 (header).
"""

from dataclasses import dataclass

from agent.acquire.bus.url import TcpAddress, parse_url

_GATEWAY_BAUD = 9600  # of the line behind a transparent gateway: unknown, so the usual one
_TURNAROUND_S = 0.02  # of an electricity meter, typical: it measures first and answers then
_TCP_BYTE_S = 1e-6  # 10 Mbit/s
_TCP_TURNAROUND_S = 0.005  # of a meter with Ethernet, typical
_FAST_BAUD = 19200  # above it the silence between frames is fixed
_FAST_SILENCE_S = 0.00175  # fixed by the specification


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The timing of one bus."""

    byte_s: float  # one byte on the wire, with its start, parity and stop bits
    request_bytes: int
    reply_bytes: int  # without the words
    silence_s: float  # before each frame
    turnaround_s: float  # from the end of a request to the start of its reply

    @classmethod
    def rtu(cls, baud: int, parity: str = "N", stopbits: int = 1) -> "Line":
        """Time an RS-485 line: 8 bytes ask, 5 bytes and the words answer.

        >>> line = Line.rtu(9600)
        >>> round(line.wire_s(40) * 1000)  # 93 characters, 20 ms for the meter, 3.5 characters of silence
        121
        """
        byte_s = (9 + stopbits + (parity != "N")) / baud
        silence_s = _FAST_SILENCE_S if baud > _FAST_BAUD else 3.5 * byte_s
        turnaround_s = max(_TURNAROUND_S, silence_s)
        return cls(byte_s=byte_s, request_bytes=8, reply_bytes=5, silence_s=silence_s, turnaround_s=turnaround_s)

    @classmethod
    def tcp(cls) -> "Line":
        """Time a Modbus TCP connection: a small fixed cost a request, and hardly any for the words."""
        return cls(byte_s=_TCP_BYTE_S, request_bytes=12, reply_bytes=9, silence_s=0.0, turnaround_s=_TCP_TURNAROUND_S)

    @property
    def request_s(self) -> float:
        """Give the time that the bytes of a request take."""
        return self.request_bytes * self.byte_s

    def reply_s(self, count: int) -> float:
        """Give the time that the bytes of a reply of ``count`` registers take."""
        return (self.reply_bytes + 2 * count) * self.byte_s

    def wire_s(self, count: int) -> float:
        """Give the time that one read of ``count`` registers takes, request and reply with their silences."""
        return self.silence_s + self.request_s + self.turnaround_s + self.reply_s(count)


def line_of(url: str) -> Line:
    """Give the timing of a bus by its URL. Raises InputError."""
    address = parse_url(url)
    if isinstance(address, TcpAddress):
        return Line.rtu(_GATEWAY_BAUD) if address.rtu else Line.tcp()
    return Line.rtu(address.baud, address.parity, address.stopbits)
