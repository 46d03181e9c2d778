"""Files in memory."""

from __future__ import annotations

import errno
import os

from tests.fake.base import Base, mutating
from tests.fake.stack import refused


class FakeFiles(Base):
    """Files, directories and symbolic links; a namespace's pin is a file too."""

    def __init__(self) -> None:
        super().__init__()
        self._implied: set[str] = {"/", "/etc", "/run", "/tmp", "/var/lib"}

    def link_target(self, path: str) -> str | None:
        self._check_alive()
        return self.links_to.get(path)

    def directory_list(self, path: str) -> list[str]:
        self._check_alive()
        inside = [*self.files, *self.links_to, *self.directories, *self.pins]
        below = {name.removeprefix(f"{path}/") for name in inside if name.startswith(f"{path}/")}
        return sorted({name.partition("/")[0] for name in below})

    def file_read(self, path: str) -> str | None:
        self._check_alive()
        return self.files.get(self.links_to.get(path, path))

    @mutating
    def file_write(self, path: str, content: str) -> None:
        self._need_directory(os.path.dirname(path), f"write {path}")
        self.links_to.pop(path, None)
        self.files[path] = content

    @mutating
    def file_delete(self, path: str) -> bool:
        link = self.links_to.pop(path, None)
        return self.files.pop(path, link) is not None

    @mutating
    def directory_create(self, path: str) -> None:
        if path in self.files:
            raise refused(errno.EEXIST, f"make directory {path}")
        if path not in self._implied:
            self.directories.add(path)
        parent = os.path.dirname(path)
        while parent not in ("", "/"):
            if parent not in self.directories:
                self._implied.add(parent)
            parent = os.path.dirname(parent)

    @mutating
    def directory_delete(self, path: str) -> bool:
        inside = [*self.files, *self.links_to, *self.directories]
        if path not in self.directories or any(name.startswith(path + "/") for name in inside):
            return False
        self.directories.discard(path)
        return True

    @mutating
    def symlink(self, path: str, target: str) -> None:
        if self.links_to.get(path) == target:
            return
        if path in self.links_to or path in self.files or path in self.directories:
            raise refused(errno.EEXIST, f"link {path} to {target}")
        self._need_directory(os.path.dirname(path), f"link {path}")
        self.links_to[path] = target

    @mutating
    def symlink_delete(self, path: str, target: str) -> bool:
        if self.links_to.get(path) != target:
            return False
        del self.links_to[path]
        return True

    def _need_directory(self, path: str, what: str) -> None:
        # The store makes its own directories, on the disk.
        if path not in self.directories | self._implied and not os.path.isdir(path):
            raise refused(errno.ENOENT, what)
