"""Steps on files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netctl.kernel.interface import Kernel
from netctl.names import quote
from netctl.plan import Difference
from netctl.steps.base import OnDisk, absent

if TYPE_CHECKING:
    from netctl.kernel.snapshot import Snapshot


class FileWrite(OnDisk):
    """``previous`` is the content before, None where there was no file."""

    path: str
    content: str
    previous: str | None = None

    @property
    def durable(self) -> bool:
        """A file that was there is written anew with its namespace, after a reboot."""
        return self.previous is None

    def apply(self, kernel: Kernel) -> None:
        kernel.file_write(self.path, self.content)

    def revert(self, kernel: Kernel) -> bool:
        if self.previous is None:
            return kernel.file_delete(self.path)
        kernel.file_write(self.path, self.previous)
        return True

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        """Only its absence counts: its content may be the operator's by now."""
        directory, _, name = self.path.rpartition("/")
        if name not in found.names(directory):
            yield absent(self, f"file {self.path}", "there")

    def describe(self) -> str:
        return f"cat > {quote(self.path)} <<'EOF'\n{self.content.rstrip()}\nEOF"

    def describe_revert(self) -> str:
        if self.previous is None:
            return f"rm -f {quote(self.path)}"
        return f"cat > {quote(self.path)} <<'EOF'\n{self.previous.rstrip()}\nEOF"


class DirectoryCreate(OnDisk):
    """A directory; it is removed where it is empty."""

    path: str

    def apply(self, kernel: Kernel) -> None:
        kernel.directory_create(self.path)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.directory_delete(self.path)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        directory, _, name = self.path.rpartition("/")
        if name not in found.names(directory):
            yield absent(self, f"directory {self.path}", "there")

    def describe(self) -> str:
        return f"mkdir -p {quote(self.path)}"

    def describe_revert(self) -> str:
        return f"rmdir --ignore-fail-on-non-empty {quote(self.path)}"


class Symlink(OnDisk):
    """A symbolic link."""

    path: str
    target: str

    def apply(self, kernel: Kernel) -> None:
        kernel.symlink(self.path, self.target)

    def revert(self, kernel: Kernel) -> bool:
        return kernel.symlink_delete(self.path, self.target)

    def differences(self, found: Snapshot) -> Iterable[Difference]:
        there = found.kernel.link_target(self.path)
        if there == self.target:
            return
        directory, _, name = self.path.rpartition("/")
        taken = name in found.names(directory)
        yield Difference(
            what=f"link {self.path}",
            expected=self.target,
            found=there or ("a file" if taken else "nothing"),
            repair=() if taken else (self,),
        )

    def describe(self) -> str:
        return f"ln -s {quote(self.target)} {quote(self.path)}"

    def describe_revert(self) -> str:
        return f"rm {quote(self.path)}"
