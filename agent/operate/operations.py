"""What an operator can order of one gateway, composed."""

from collections.abc import Callable, Mapping, Sequence

from agent.acquire.poll.statistics import PollStatistics
from agent.config import GatewayConfig, PollConfig
from agent.deliver import wire
from agent.deliver.spool.spool import Spool
from agent.operate import interval
from agent.operate.capture import Capture, Recent
from agent.operate.diagnose import Diagnose
from agent.operate.executor import Data, Executor, Handler
from agent.operate.reload import Reload
from agent.operate.resend import Resend
from agent.records import ClockReading, Sample


class Operations:
    """Executes commands for a gateway that runs by ``written``, but for the intervals, which are those of ``poll``.

    ``read`` reads the configuration anew, ``reply`` records replies with slots of the spool, ``end_at`` has
    measuring end at a time, ``rotate`` carries out the command of that name.
    """

    def __init__(
        self,
        written: GatewayConfig,
        poll: PollConfig,
        spool: Spool,
        operator_key: str,
        *,
        read: Callable[[], GatewayConfig],
        read_clock: Callable[[], ClockReading],
        statistics: Callable[[], PollStatistics],
        link: Callable[[], Data],
        reply: Callable[[Sequence[wire.Reply], Mapping[str, bytes]], None],
        resend: Callable[[int, int], None],
        rotate: Handler,
        end_at: Callable[[float], None],
    ) -> None:
        self.renewed: GatewayConfig | None = None  # what is to be composed next, once measuring has ended
        self.renewed_from_s = 0.0
        self._written = written
        self._window_s = poll.window_s
        self._spool = spool
        self._read_clock = read_clock
        self._end_at = end_at
        self._recent = Recent([meter.id for meter in written.meters])
        handlers: dict[str, Handler] = {
            "resend": Resend(spool, resend),
            "set_interval": interval.SetInterval(poll, self._order_interval),
            "reload": Reload(written, read, self._reload),
            "rotate": rotate,
            "diagnose": Diagnose(spool, read_clock=read_clock, statistics=statistics, link=link),
            "capture": Capture(self._recent, poll.period_s, lambda: read_clock().utc_s),
        }
        self._executor = Executor(spool, operator_key, handlers, read_clock=read_clock, reply=reply)
        self.resume, self.take, self.close = self._executor.resume, self._executor.take, self._executor.close

    def on_samples(self, samples: Sequence[Sample], tick_s: float) -> None:
        """Remember the samples of a tick, and look whether a command's time has come."""
        self._recent.add(samples, tick_s)
        self._executor.tick()

    def _order_interval(self, order: bytes) -> int:
        with self._spool.batch() as batch:
            batch.slots[interval.SLOT] = order
        return self._renew(self.renewed or self._written)

    def _reload(self, config: GatewayConfig) -> int:
        with self._spool.batch() as batch:
            batch.slots[interval.SLOT] = b""
        return self._renew(config)

    def _renew(self, config: GatewayConfig) -> int:
        """Have everything composed anew when the open window is over: none is cut in two. Give that time."""
        from_s = int(self._read_clock().utc_s) // self._window_s * self._window_s + self._window_s
        self.renewed, self.renewed_from_s = config, from_s
        self._end_at(from_s)
        return from_s
