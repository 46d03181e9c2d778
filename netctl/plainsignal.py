"""Signals, by the names of the module ``signal``.

That module makes enums of its constants when it is imported, and of each number of a mask at each
call. These are what it is made of: signals and handlers are plain numbers.
"""

from __future__ import annotations

from _signal import (  # type: ignore[import-not-found]
    SIG_BLOCK,
    SIG_DFL,
    SIG_SETMASK,
    SIGALRM,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGTERM,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGUSR1,
    SIGUSR2,
    default_int_handler,
    getsignal,
    pidfd_send_signal,
    pthread_sigmask,
    signal,
    sigpending,
)

__all__ = [
    "SIGALRM",
    "SIGCHLD",
    "SIGHUP",
    "SIGINT",
    "SIGKILL",
    "SIGQUIT",
    "SIGTERM",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGUSR1",
    "SIGUSR2",
    "SIG_BLOCK",
    "SIG_DFL",
    "SIG_SETMASK",
    "default_int_handler",
    "getsignal",
    "pidfd_send_signal",
    "pthread_sigmask",
    "signal",
    "sigpending",
]
