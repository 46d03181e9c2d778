"""The loop: descriptors that are watched, and calls that are due later."""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
Handler = Callable[[int], None]


class Timer:
    """A call that is due; ``cancel`` takes it back."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self._call = None

    def run(self) -> None:
        call, self._call = self._call, None
        if call:
            call()


class Loop:
    """One thread that waits for everything."""

    def __init__(self, report: Callable[[], None]) -> None:
        """``report`` is called in the handler of an exception that nobody expected."""
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._made = 0
        self._report = report
        self._running = True

    def watch(self, fd: int, handler: Handler, events: int = READ) -> None:
        """Call ``handler(events)`` when ``fd`` is ready."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def change(self, fd: int, events: int, handler: Handler | None = None) -> None:
        self._epoll.modify(fd, events)
        if handler:
            self._handlers[fd] = handler

    def handle(self, fd: int, handler: Handler) -> None:
        """Call another handler for what is watched."""
        self._handlers[fd] = handler

    def pause(self, fd: int) -> None:
        """Watch no more, until ``watch`` again."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def forget(self, fd: int) -> None:
        """Watch no more, for ``fd`` is about to be closed: that takes it out of epoll as well."""
        self._handlers.pop(fd, None)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer(call)
        self._made += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._made, timer))
        return timer

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Serve until ``stop``. What goes wrong in one handler does not end the others."""
        handlers = self._handlers
        while self._running:
            found = self._epoll.poll(self._pause())
            for handler, fd, events in [(handlers.get(fd), fd, events) for fd, events in found]:
                if handler is None or handlers.get(fd) is not handler:
                    continue  # Closed by one that came before; the number may be another's now.
                try:
                    handler(events)
                except Exception:
                    self._report()
            self._run_due()

    def close(self) -> None:
        """Watch nothing any more: at last."""
        self._epoll.close()

    def _pause(self) -> float:
        return max(0, self._timers[0][0] - time.monotonic()) if self._timers else -1

    def _run_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            try:
                timer.run()
            except Exception:
                self._report()
