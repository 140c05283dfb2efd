"""One RS-485 line: half duplex, frames set apart by silence, and where real time counts as slow as the real one.

A pseudo-terminal and a socket carry bytes at once. So the time that a request takes is waited for
before it counts as heard, and a reply is written byte by byte when it would arrive.

Source: Modbus over Serial Line V1.02, 2.5.1.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from firmware_sim.faults.base import End, Sending
from firmware_sim.frames import Message, RtuReader, rtu_frame
from firmware_sim.station import Units

_SILENCE_S = 0.005  # ends a frame: above 3.5 characters at 9600 baud
_FAST_BAUD = 19200  # above it the silence between frames is fixed
_FAST_GAP_S = 0.00175
_PIECE_S = 0.002  # as long as bytes are held back to go out together, as a serial adapter holds them
_EARLY_S = 0.0005  # epoll waits whole milliseconds and asyncio rounds up: half of one is the mean of the error
_SLACK_S = 0.002  # of what a client of this machine may be early by the same reason


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a line is."""

    char_s: float  # one byte with its start, parity and stop bits
    gap_s: float  # the silence before a frame


def speed_of(url: str) -> Speed:
    """Give the speed of a line by the settings in its URL; 9600 baud, 8N1 where it says nothing.

    >>> round(speed_of("rtu:///dev/ttyUSB0?baud=9600&parity=E").char_s * 9600)
    11
    """
    settings = {key: values[-1] for key, values in parse_qs(url.partition("?")[2]).items()}
    baud = int(settings.get("baud", 9600))
    bits = 9 + (settings.get("parity", "N") != "N") + int(settings.get("stopbits", 1))
    char_s = bits / baud
    return Speed(char_s, _FAST_GAP_S if baud > _FAST_BAUD else 3.5 * char_s)


@dataclass(frozen=True, slots=True)
class Wire:
    """A client's end of the line: how bytes get there, and how it is hung up on."""

    write: Callable[[bytes], None]
    end: Callable[[End], None]


class SerialLine:
    """The line that a bus's meters share, and all who talk to them."""

    def __init__(self, units: Units, speed: Speed | None) -> None:
        self._units, self._speed = units, speed
        self._quiet_since_s = -math.inf

    def request(self, request: Message | None, length: int, heard_s: float, wire: Wire) -> None:
        """Let the meters answer a frame of ``length`` bytes that began to arrive at ``heard_s``."""
        silence_s, over_s = math.inf, heard_s
        if self._speed is not None:
            silence_s = heard_s - self._quiet_since_s + _SLACK_S
            if silence_s < 0:
                return  # somebody is talking: neither is understood
            over_s = self._quiet_since_s = heard_s + length * self._speed.char_s
        if request is None:
            return  # no meter feels addressed
        for sending in self._units.answers(request, rtu_frame, silence_s):
            self._answer(sending, over_s, wire)

    def _answer(self, sending: Sending, over_s: float, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        wire.end(sending.end)
        if not sending.data:
            return
        if self._speed is not None:
            start_s = over_s + max(sending.delay_s, self._speed.gap_s)
            loop.call_at(start_s - _EARLY_S, self._begin, sending.data, start_s, self._speed.char_s, wire)
        elif sending.delay_s:
            loop.call_later(sending.delay_s, wire.write, sending.data)
        else:
            wire.write(sending.data)

    def _begin(self, data: bytes, start_s: float, char_s: float, wire: Wire) -> None:
        """Begin to send; whoever wants to at the same time comes after."""
        start_s = max(start_s, self._quiet_since_s)
        self._quiet_since_s = start_s + len(data) * char_s
        self._send(data, 0, start_s, char_s, wire)

    def _send(self, data: bytes, sent: int, start_s: float, char_s: float, wire: Wire) -> None:
        """Write the bytes that have arrived by now, and come back for the next."""
        loop = asyncio.get_running_loop()
        due = min(len(data), math.floor((loop.time() + _EARLY_S - start_s) / char_s + 1e-6))
        if due > sent:
            wire.write(data[sent:due])
            sent = due
        if sent < len(data):
            piece = max(1, math.ceil(_PIECE_S / char_s))
            next_s = start_s + min(len(data), sent + piece) * char_s
            loop.call_at(next_s - _EARLY_S, self._send, data, sent, start_s, char_s, wire)


class Listener:
    """Hears one client, and cuts what it sends into frames.

    A read request is complete at its eighth byte; anything else is, once the line is silent.
    """

    def __init__(self, line: SerialLine, wire: Wire) -> None:
        self._line, self._wire, self._reader = line, wire, RtuReader()
        self._heard_s = math.nan
        self._silence: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes from the client, and pass them on where they complete a frame."""
        loop = asyncio.get_running_loop()
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        else:
            self._heard_s = loop.time()
        if self._reader.feed(data):
            self._end_of_frame()
        else:
            self._silence = loop.call_later(_SILENCE_S, self._end_of_frame)

    def _end_of_frame(self) -> None:
        self._silence = None
        length, request = self._reader.take()
        self._line.request(request, length, self._heard_s, self._wire)
