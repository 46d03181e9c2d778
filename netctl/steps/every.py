"""Every kind of step, for the codec of intents: a command imports only those that it takes."""

from __future__ import annotations

from netctl.steps.addresses import AddressAdd, RouteAdd
from netctl.steps.files import DirectoryCreate, FileWrite, Symlink
from netctl.steps.links import BridgeAdd, Hairpin, LinkChange, LinkGone, LinkUp, Reachable, VethAdd
from netctl.steps.names import Names, Resolver
from netctl.steps.namespaces import LoopbackUp, NetnsCreate, NetnsPin, NetnsRelease, NetnsRename
from netctl.steps.neighbours import Announced, NeighboursForgotten
from netctl.steps.settings import FlowsForgotten, Nft, PutBack, Sysctl
from netctl.steps.shaping import Diverted, IfbAdd, Policed, Shaped
from netctl.steps.together import LinksGone, Together

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
    Together,
    LinksGone,
    Hairpin,
    Reachable,
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
    PutBack,
    Nft,
    FlowsForgotten,
    FileWrite,
    DirectoryCreate,
    Symlink,
    Resolver,
    Names,
)
