"""The processes of a running server, as /proc shows them, and how they are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from server import Server, until


def children(server: Server) -> dict[int, str]:
    """Living children of the supervisor: pid and role, `hub` or `worker`."""
    found: dict[int, str] = {}
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            words = (path / "cmdline").read_text().split("\0")
        except OSError:
            continue
        # Of one that is just ending, the words are gone.
        named = [word for word in words if word]
        if stat[0] != "Z" and int(stat[1]) == server.pid and named:
            found[int(path.name)] = named[-1]
    return found


def kill_one(server: Server, role: str) -> None:
    """With SIGKILL. Returns when another has taken its place."""
    until(f"there is a {role}", lambda: role in children(server).values())
    victim = next(pid for pid, each in children(server).items() if each == role)
    count = len(children(server))
    os.kill(victim, signal.SIGKILL)
    until(
        f"another {role} is there",
        lambda: victim not in (now := children(server)) and len(now) >= count,
    )


def restart(server: Server) -> None:
    """All of its processes are killed at once, and it is started again."""
    server.kill()
    until("all are gone", lambda: not children(server))
    server.start()
