"""Traffic control in memory."""

from __future__ import annotations

import errno

from netctl.kernel.interface import Ingress, Shape, Shaper
from tests.fake.base import Base, mutating
from tests.fake.stack import need, refused


class FakeShaping(Base):
    """Limits of links, both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = {"bridge", "veth", "ifb"}

    def has_link_kind(self, kind: str) -> bool:
        return kind in self.kinds

    def limiters(self) -> dict[str, bool]:
        return {"tbf": True, "ifb": "ifb" in self.kinds, "police": True}

    @mutating
    def ifb_add(self, name: str, *, alias: str, mtu: int) -> None:
        self._put(self.host, name, type="ifb", mac="0e:00:00:00:00:04", mtu=mtu, alias=alias)

    @mutating
    def shaper_set(self, link: str, *, alias: str, shape: Shape) -> None:
        self._need_ours(link, alias)
        self.host.shapers[link] = shape

    @mutating
    def shaper_delete(self, link: str, *, alias: str) -> bool:
        return self.host.shapers.pop(link, None) is not None

    def shaper(self, link: str) -> Shaper | None:
        shape = self.host.shapers.get(link)
        return Shaper(shape=shape, sent_bytes=0, dropped=0) if shape else None

    @mutating
    def divert_add(self, link: str, *, alias: str, to: str) -> None:
        need(self.host, to, f"divert {link}")
        self._add_ingress(link, alias, to)

    @mutating
    def police_add(self, link: str, *, alias: str, shape: Shape) -> None:
        self._add_ingress(link, alias, shape)

    @mutating
    def ingress_delete(self, link: str, *, alias: str) -> bool:
        return self.host.ingresses.pop(link, None) is not None

    def ingress(self, link: str) -> Ingress | None:
        found = self.host.ingresses.get(link)
        if found is None:
            return None
        to, shape = (found, None) if isinstance(found, str) else ("", found)
        return Ingress(to=to, shape=shape, sent_bytes=0, dropped=0)

    def _add_ingress(self, link: str, alias: str, what: str | Shape) -> None:
        self._need_ours(link, alias)
        if link in self.host.ingresses:
            raise refused(errno.EEXIST, f"add ingress to {link}")
        self.host.ingresses[link] = what

    def _need_ours(self, link: str, alias: str) -> None:
        need(self.host, link, f"limit {link}")
        if self.host.links[link].alias != alias:
            raise refused(errno.EPERM, f"limit {link}: it is not netctl's")
