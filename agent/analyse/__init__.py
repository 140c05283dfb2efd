"""The second wing: samples become windows, features, a judgement with its reasons, and alarms."""
