"""The resolver: one process per host that answers on 127.0.0.11 in the sandboxes' namespaces.

``model`` is what it is told through its socket, ``zones`` the names by network, ``wire`` and
``unusual`` the messages, ``answering`` decides what a query gets; ``sites`` are the sockets in the
namespaces, ``forwarding`` asks other servers, and ``resolver`` ties them together on ``loop``.
``netctl.kernel.resolver`` starts the process and talks to it.
"""
