"""The steps that plans are made of: one kernel operation each.

``describe`` gives the equivalent ``ip``, ``sysctl`` or ``nft`` command; what a step needs beside
its own fields does not exist, so a step that was written down can be taken back by anyone.
"""

from __future__ import annotations

from netctl.steps.addresses import AddressAdd, RouteAdd
from netctl.steps.files import DirectoryCreate, FileWrite, Symlink
from netctl.steps.links import BridgeAdd, Hairpin, LinkChange, LinkGone, LinkUp, VethAdd
from netctl.steps.names import Names, Resolver
from netctl.steps.namespaces import LoopbackUp, NetnsCreate, NetnsPin, NetnsRelease, NetnsRename
from netctl.steps.neighbours import Announced, NeighboursForgotten
from netctl.steps.settings import FlowsForgotten, Nft, Sysctl
from netctl.steps.shaping import Diverted, IfbAdd, Policed, Shaped

__all__ = [
    "STEPS",
    "AddressAdd",
    "Announced",
    "BridgeAdd",
    "DirectoryCreate",
    "Diverted",
    "FileWrite",
    "FlowsForgotten",
    "Hairpin",
    "IfbAdd",
    "LinkChange",
    "LinkGone",
    "LinkUp",
    "LoopbackUp",
    "Names",
    "NeighboursForgotten",
    "NetnsCreate",
    "NetnsPin",
    "NetnsRelease",
    "NetnsRename",
    "Nft",
    "Policed",
    "Resolver",
    "RouteAdd",
    "Shaped",
    "Symlink",
    "Sysctl",
    "VethAdd",
]

STEPS = (
    NetnsCreate,
    NetnsPin,
    NetnsRelease,
    NetnsRename,
    LoopbackUp,
    BridgeAdd,
    VethAdd,
    LinkChange,
    LinkGone,
    Hairpin,
    IfbAdd,
    Shaped,
    Diverted,
    Policed,
    LinkUp,
    AddressAdd,
    RouteAdd,
    NeighboursForgotten,
    Announced,
    Sysctl,
    Nft,
    FlowsForgotten,
    FileWrite,
    DirectoryCreate,
    Symlink,
    Resolver,
    Names,
)
"""Every kind of step, for the codec of intents."""
