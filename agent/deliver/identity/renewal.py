"""Keeps the gateway's certificate young, in the background, and takes the gateway from one key to the next.

A certificate is renewed at two thirds of its life, and after its end as well. While that does not succeed,
measuring and spooling go on; the publisher reads the files again at each connection.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from agent.deliver.durable import sync_folder
from agent.deliver.identity.identity import FOLDER, Identity, keep_identity, read_identity
from agent.deliver.identity.keys import GatewayKey, load_gateway_key
from agent.errors import FlatwattError

logger = logging.getLogger(__name__)

_DUE = 2 / 3  # of its life: with 90 days, a month is left for an outage of the centre
_SPREAD = 1 / 20  # of its life: a fleet that enrolled on one day does not come back in one minute
_LOOK_S = 3600.0  # a clock that is set may make a certificate due at any time
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 3600.0  # after a failure: the centre restarts in a minute, or is away for days
_NEXT = "key-next.pem"  # a rotation that has begun: it is finished, not taken back

Tell = Callable[[str, str], None]


class Renewal:
    """The certificate of one gateway.

    ``tell`` is called, as (event, text), of renewals and of what keeps them from succeeding. ``sign_off`` records
    the last event under the present key, given as (text, data), when it is followed by another.
    """

    def __init__(
        self,
        state_dir: Path,
        gateway: str,
        key: GatewayKey,
        now_s: Callable[[], float],
        *,
        tell: Tell,
        sign_off: Callable[[str, Mapping[str, str]], None],
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._state_dir = state_dir
        self._folder = state_dir / FOLDER
        self._gateway = gateway
        self._key = key
        self._now_s = now_s
        self._tell = tell
        self._sign_off = sign_off
        self._first_pause_s = first_pause_s
        self._told = ""
        self._turn = asyncio.Lock()
        self._is_closed = False

    async def run(self) -> None:
        """Renew whenever it is due, and finish a rotation that was cut off; for ever."""
        failures = 0
        while True:
            try:
                pause_s = await self._look()
                failures, self._told = 0, ""
            except (FlatwattError, OSError) as error:  # of a failing disk, and of files that are no certificates
                longest_s = min(_LONGEST_PAUSE_S, self._first_pause_s * 2 ** min(failures, 16))
                pause_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads a fleet, no secret
                failures += 1
                self._trouble(str(error))
            await asyncio.sleep(pause_s)

    def close(self) -> None:
        """Change no key any more: who comes after us holds another copy of it, and finishes what was begun."""
        self._is_closed = True

    async def rotate(self) -> str:
        """Make another key; the present one names it in a signed event, and vouches for it at the centre.

        Gives a sentence about it. Where the centre does not answer, :class:`FlatwattError` is raised and the
        present key stays in force; the next one is kept, and tried again in the background.
        """
        async with self._turn:
            following = load_gateway_key(self._state_dir / _NEXT)
            identity = read_identity(self._folder)
            if identity is not None:
                grant = await asyncio.to_thread(identity.centre.renew, self._gateway, following, self._key)
            if self._is_closed:
                raise FlatwattError("the agent is composed anew; the next key follows right after it")
            text = f"key {following.key_id} signs from now on, as key {self._key.key_id} says"
            self._sign_off(text, {"public_key": following.public_key, "key": following.key_id})
            self._key.become(following)
            if identity is not None:
                keep_identity(self._folder, identity.centre, grant)
            _put_in_force(self._state_dir)
            logger.warning("%s", text)
            return text

    async def _look(self) -> float:
        """Do what is due; give how long until the next look."""
        if (self._state_dir / _NEXT).exists():
            await self.rotate()
        identity = read_identity(self._folder)
        if identity is None:
            return _LOOK_S
        wait_s = due_s(identity) - self._now_s()
        if wait_s <= 0:
            async with self._turn:
                identity = await self._renew(identity)
            wait_s = due_s(identity) - self._now_s()
        return min(max(wait_s, 1.0), _LOOK_S)

    async def _renew(self, identity: Identity) -> Identity:
        grant = await asyncio.to_thread(identity.centre.renew, self._gateway, self._key)
        keep_identity(self._folder, identity.centre, grant)
        renewed = read_identity(self._folder) or identity
        self._tell("certificate_renewed", f"the certificate is valid until {_day(renewed.not_after_s)}")
        return renewed

    def _trouble(self, why: str) -> None:
        """Tell it once, however often it is tried."""
        if why == self._told:
            return
        self._told = why
        logger.warning("the certificate is not renewed: %s", why)
        self._tell("certificate_trouble", f"the certificate is not renewed, and it is tried again: {why}")


def due_s(identity: Identity) -> float:
    """Say when a certificate is to be renewed: at two thirds of its life, and each gateway's own part later."""
    life_s = identity.not_after_s - identity.not_before_s
    part = hashlib.sha256(identity.public_key.encode()).digest()[0] / 255
    return identity.not_before_s + life_s * (_DUE + _SPREAD * part)


def finish_rotation(state_dir: Path) -> None:
    """At the start: where the certificate is for the next key already, that is the key."""
    following = state_dir / _NEXT
    identity = read_identity(state_dir / FOLDER)
    if following.exists() and identity is not None and load_gateway_key(following).public_key == identity.public_key:
        _put_in_force(state_dir)


def _put_in_force(state_dir: Path) -> None:
    try:
        (state_dir / _NEXT).rename(state_dir / "key.pem")
        sync_folder(state_dir)
    except OSError as error:
        raise FlatwattError(f"{state_dir / 'key.pem'}: cannot be replaced: {error.strerror}") from None


def _day(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
