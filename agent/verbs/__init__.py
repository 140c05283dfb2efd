"""The verbs of the command line, one module each.

A verb is a module with ``HELP`` (one line), ``configure(parser)`` and ``run(args) -> exit code``.
It is found through the entry points of the group ``flatwatt.verbs``, so the collector and the
simulator add theirs without the agent knowing them. Verbs import what is heavy inside ``run``.
"""
