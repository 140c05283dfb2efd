"""What a gateway says where the centre lost records that it had confirmed: its database was put back from a backup."""

from agent.deliver import wire
from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool.entry import enter, signed_gap
from agent.deliver.spool.spool import Spool


def declare_loss(spool: Spool, key: GatewayKey, through: int, time_s: int) -> None:
    """Declare that the confirmed records above ``through`` are gone, so that the chain can be carried on behind them.

    The spool forgot them at the receipt. Their energy is not lost: counters of later records include it.
    """
    head = spool.head_at(spool.receipted)
    if head is None or through >= spool.receipted:
        return
    with spool.batch() as batch:
        gap = wire.Gap(
            v=wire.VERSION,
            kind="gap",
            stream=batch.stream,
            seq=batch.next_seq,
            gateway=spool.gateway,
            from_seq=through + 1,
            through_seq=spool.receipted,
            head=head.hex(),
            cause="collector_rolled_back",
            time_s=time_s,
            records={},
            totals=[],
            key="",
            sig="",
        )
        enter(batch, spool.gateway, signed_gap(gap, key))
