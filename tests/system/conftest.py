"""The throw-away host of ``tests/kernel``, for tests of whole operations."""

from tests.kernel.conftest import host

__all__ = ["host"]
