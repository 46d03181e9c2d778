"""The doctor: looks at the machine and explains why traffic would fail. Nothing is changed.

``machine`` is what there is, each other module some checks: functions from the machine to findings,
which ``examination`` calls. ``path`` follows one packet.
"""
