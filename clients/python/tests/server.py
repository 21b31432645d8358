"""The real server of this repository, started for tests: a process, a database and a port of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
DEADLINE = 60.0


def bun() -> str:
    own = PROJECT / "node_modules" / ".bin" / "bun"
    found = os.environ.get("STOCK_DB_TEST_BUN") or (str(own) if own.exists() else shutil.which("bun"))
    if found is None:
        raise RuntimeError("there is no bun: run npm ci in the repository first")
    return found


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("STOCK_DB_")}


class Server:
    """`serve` with these flags. `url` and `port` stay the same over `kill` and `start`."""

    def __init__(self, *flags: str, engine: str = "db", workers: int = 1) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="stock-db-client-"))
        self.db_file = self.dir / f"test.{engine}"
        self.flags = list(flags)
        self.workers = workers
        self.port = 0
        self._log = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        scheme = "https" if "--tls-cert" in self.flags else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Server:
        """Returns when it answers."""
        began = len(self._log)
        command = [bun(), "--no-orphans", str(PROJECT / "src" / "main.ts"), "serve"]
        command += ["--db-file", str(self.db_file), "--port", str(self.port), "--workers", str(self.workers)]
        self._process = subprocess.Popen(
            command + self.flags,
            cwd=self.dir,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()
        until("the server answers", lambda: self._answers(began))
        return self

    def kill(self, which: signal.Signals = signal.SIGKILL) -> None:
        """The supervisor and all of its children at once. Returns when the first has ended."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, which)
            except ProcessLookupError:
                pass
            self._process.wait(DEADLINE)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(DEADLINE)
            finally:
                self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def add_key(self, name: str, may: str, *flags: str) -> str:
        """Such as `add_key("desk", "read,stream")`. Before `start`, or up to a second before it counts."""
        command = [bun(), str(PROJECT / "src" / "main.ts"), "keys", "add", name, "--may", may]
        command += ["--keys", f"{self.db_file}.keys", "--json", *flags]
        made = subprocess.run(
            command, cwd=self.dir, env=clean_environment(), check=True, stdout=subprocess.PIPE
        )
        return str(json.loads(made.stdout)["key"])

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _collect(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._log += line.decode(errors="replace")

    def _answers(self, began: int) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the server has ended; its log:\n{self._log}")
        if self.port == 0:
            found = re.search(r"Server starting on https?://\S+:(\d+)", self._log[began:])
            if found is None:
                return False
            self.port = int(found[1])
        anyone = ssl.create_default_context()
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5, context=anyone) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def until(what: str, condition: object, deadline: float = DEADLINE) -> None:
    """Polls until the condition, a function without parameters, gives something true."""
    assert callable(condition)
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > deadline:
            raise TimeoutError(f"not within {deadline} s: {what}")
        time.sleep(0.02)
