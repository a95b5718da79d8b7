"""A server on this machine for tests of downloads: it can break off, answer wrongly and send elsewhere."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import shared.download.fetch


class Server:
    """What the test server does, and what it was asked."""

    def __init__(self, content: bytes):
        self.content = content
        self.etag: str | None = '"v1"'
        self.ranges = True
        self.break_after: list[int] = []  # bytes sent before the connection is cut, one per request
        self.status: list[int] = []  # answers given before the file is served
        self.extra_length = 0  # added to a Content-Length that lies
        self.wrong_part = False  # answer a Range with other bytes than asked for, and say so
        self.announced = True  # send a Content-Length
        self.redirect: str | None = None
        self.asked: list[str | None] = []  # the Range header of each request
        self.url = ""

    def handle(self, handler):
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.status:
            handler.send_error(self.status.pop(0))
        elif self.redirect:
            handler.send_response(302)
            handler.send_header("Location", self.redirect)
            handler.end_headers()
        else:
            self._serve(handler, wanted)

    def _serve(self, handler, wanted):
        start = 0
        if wanted and self.ranges and handler.headers.get("If-Range") == self.etag:
            start = int(wanted[len("bytes=") : -1])
        if start and self.wrong_part:
            start, self.wrong_part = start // 2, False
        if start and start >= len(self.content):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.announced:
            handler.send_header("Content-Length", str(len(self.content) - start + self.extra_length))
        handler.end_headers()
        stop = start + self.break_after.pop(0) if self.break_after else len(self.content)
        handler.wfile.write(self.content[start:stop])


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no pauses between attempts, and short timeouts."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(shared.download.fetch, "BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(shared.download.fetch, "TIMEOUT_SECONDS", 5.0)


@contextmanager
def running(content: bytes, path: str = "/net/model.pdparams") -> Iterator[Server]:
    """A server of ``content`` at its ``url``, which ends in ``path``."""
    state = Server(content)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.handle(self)

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}{path}"
    try:
        yield state
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
