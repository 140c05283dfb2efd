"""What a person wants to know of the delivery."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherStatus:
    """How the delivery gets on. Times are ages, in seconds; None where there is nothing to tell."""

    broker: str  # HOST:PORT
    delivery: str  # collector | broker: whose word lets the spool forget
    connected: bool
    protocol: str  # of MQTT, as last spoken or tried
    pending: int  # records not confirmed
    oldest_unreceipted_s: float | None  # of the oldest of them, or since the start of the agent
    receipt_lag_s: float | None  # how long the record that was confirmed last waited for it
    last_receipt_s: float | None  # since the last receipt
    is_late: bool  # connected, and a record is without receipt for more than an hour
    sent: int  # records, since the start of the agent
    sent_again: int  # of these, for the second time or more
    set_aside: int  # records that the broker does not take
    error: str  # the present trouble, "" where there is none
