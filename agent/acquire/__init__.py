"""The first wing: registers become samples. Profile, plan, bus, codec, poller."""
