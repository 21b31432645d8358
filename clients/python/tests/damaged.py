"""A proxy in front of a real server that damages what it answers."""

from __future__ import annotations

import http.client
import http.server
import socket
import struct
import threading
from collections.abc import Callable
from urllib.parse import urlsplit


class Damaged:
    """`how` is called with the answer's status and body, and the handler to answer with."""

    def __init__(self, url: str) -> None:
        self.how: Callable[[Handler, int, bytes], None] = Handler.whole
        #: Requests that have reached the server.
        self.asked = 0
        #: `Idempotency-Key` of each.
        self.keys: list[str | None] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        setattr(self._server, "damaged", self)
        setattr(self._server, "upstream", urlsplit(url).port)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Damaged:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        damaged: Damaged = getattr(self.server, "damaged")
        body = self.rfile.read(int(self.headers["content-length"]))
        upstream = http.client.HTTPConnection("127.0.0.1", getattr(self.server, "upstream"), timeout=60)
        names = ("content-type", "idempotency-key")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        upstream.request("POST", self.path, body, headers)
        answer = upstream.getresponse()
        text = answer.read()
        upstream.close()
        damaged.asked += 1
        damaged.keys.append(self.headers["idempotency-key"])
        damaged.how(self, answer.status, text)

    def whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunked(self, status: int, body: bytes, *, ends: bool = True) -> None:
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
        if ends:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def short(self, status: int, body: bytes) -> None:
        """Fewer bytes than it has announced."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True

    def busy(self, status: int, retry_after: str) -> None:
        self.send_response(status)
        self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def gone(self) -> None:
        """Nothing is answered."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
