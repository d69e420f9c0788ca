"""A line that can be cut: a proxy on loopback between a world and its database."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal

_PIECE = 1 << 16


class Proxy:
    """Forwards connections to a port. `cut_at_commit` cuts the one whose COMMIT comes by, once."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._guard = threading.Lock()  # guards all below
        self._links: set[socket.socket] = set()
        self._cutting: Literal["before", "after"] | None = None
        self._commits_left = 0
        self.cuts = 0
        self.is_refusing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """Cut all connections."""
        with self._guard:
            links = list(self._links)
        for link in links:
            self._drop(link)

    def cut_at_commit(self, where: Literal["before", "after"], number: int = 1) -> None:
        """Cut a connection at the nth COMMIT from now: before it arrives, or when it has, before its answer."""
        with self._guard:
            self._cutting, self._commits_left = where, number

    def freeze(self) -> None:
        """Let nothing through, and say nothing: what a pulled cable does."""
        self._flowing.clear()

    def thaw_new(self) -> None:
        """Let connections through that are made from now on; those that were frozen stay so."""
        self._flowing = threading.Event()
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.is_refusing:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            for link in (near, far):
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers_lost = threading.Event()
            with self._guard:
                self._links |= {near, far}
            for source, sink, is_upwards in ((near, far, True), (far, near, False)):
                thread = threading.Thread(
                    target=self._forward, args=(source, sink, is_upwards, answers_lost), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _forward(
        self, source: socket.socket, sink: socket.socket, is_upwards: bool, answers_lost: threading.Event
    ) -> None:
        flowing = self._flowing
        try:
            while piece := source.recv(_PIECE):
                while not flowing.wait(0.05) and not self._is_over.is_set():
                    pass
                if is_upwards and b"COMMIT\0" in piece:
                    where = self._count_commit()
                    if where == "before":
                        break
                    if where == "after":
                        answers_lost.set()
                elif not is_upwards and answers_lost.is_set():
                    break  # it was carried out: here is its answer, which nobody will have
                sink.sendall(piece)
        except OSError:
            pass
        finally:
            self._drop(source)
            self._drop(sink)

    def _count_commit(self) -> Literal["before", "after"] | None:
        with self._guard:
            if self._cutting is None:
                return None
            self._commits_left -= 1
            if self._commits_left > 0:
                return None
            where, self._cutting = self._cutting, None
            self.cuts += 1
            return where

    def _drop(self, link: socket.socket) -> None:
        with self._guard:
            self._links.discard(link)
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
        link.close()
