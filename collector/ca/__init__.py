"""The authority of the centre: who may call itself a gateway, the collector or the broker."""
