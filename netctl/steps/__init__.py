"""The steps that plans are made of: one kernel operation each.

``describe`` gives the equivalent ``ip``, ``sysctl`` or ``nft`` command; what a step needs beside
its own fields does not exist, so a step that was written down can be taken back by anyone.
"""
