"""A TCP proxy that a test can make mute: connections stay, and nothing goes through any more."""

from __future__ import annotations

import socket
import threading


class Proxy:
    def __init__(self, port: int) -> None:
        self.target = port
        self.connections = 0
        self._mute: set[int] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def mute(self) -> None:
        """Those that are open now; later ones work."""
        self._mute.update(range(self.connections))

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            number, self.connections = self.connections, self.connections + 1
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(number, source, sink), daemon=True).start()

    def _copy(self, number: int, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if number not in self._mute:
                    sink.sendall(data)
            if number not in self._mute:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
