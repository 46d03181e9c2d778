"""The resolver in memory: what it was told."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext

from netctl.kernel.interface import Message
from tests.fake.base import Base, mutating


class FakeResolver(Base):
    """One process for all sandboxes."""

    def start(self) -> None:
        super().start()
        self.names: dict[str, Message] | None = None
        self.astray: set[str] = set()
        """Namespaces whose questions for names are not led to the resolver any more."""
        self.lost = False

    @mutating
    def resolver_start(self, run_dir: str, state_dir: str, *, anew: bool) -> bool:
        if self.names is not None and not anew:
            return False
        self.names = self.names or {}
        return True

    @mutating
    def resolver_stop(self, run_dir: str) -> bool:
        if self.names is None or self._serves():
            return False
        self.names = None
        return True

    @mutating
    def resolver_tell(self, run_dir: str, message: str) -> bool:
        if self.names is None:
            return False
        for item in json.loads(message)["of"]:
            self.astray.discard(str(item.get("netns")))
            kind, _, gone = item["do"].partition("-")
            before = self.names.pop(f"{kind} {item['id']}", None)
            if gone:
                continue
            if kind == "sandbox" and not before:
                self._stack(item["netns"])
            self.names[f"{kind} {item['id']}"] = item
        return True

    def _known(self) -> object:
        """Return what the resolver knows; that of a network stays when its last endpoint goes."""
        if self.names is None:
            return None
        return {key: m for key, m in self.names.items() if not key.startswith("network ")}

    def _serves(self) -> bool:
        return any(key.startswith(("sandbox", "relay")) for key in self.names or ())

    def batch(self) -> AbstractContextManager[None]:
        return nullcontext()

    def resolver_model(self, run_dir: str) -> list[Message] | None:
        return None if self.names is None else list(self.names.values())

    def resolver_lost(self, run_dir: str) -> bool:
        return self.lost
