"""Server on this machine with configurable faults."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

Answer = Callable[[socket.socket, dict[str, str]], None]


class FaultyServer:
    """Server whose requests get its answers in turn, and then always the last one."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []
        """Headers by lower-case name, of all requests so far."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            text = b""
            while b"\r\n\r\n" not in text:
                text += connection.recv(4096)
            lines = text.decode().split("\r\n")[1:]
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
            self.requests.append(headers)
            answer(connection, headers)

    # answers

    def sends(self, *parts: bytes) -> Answer:
        """Return an answer that sends the parts and ends the connection."""
        return lambda connection, _: [connection.sendall(part) for part in parts]

    def stalls_after(self, *parts: bytes) -> Answer:
        """Return an answer that sends the parts and keeps the connection open."""

        def answer(connection: socket.socket, _: dict[str, str]) -> None:
            connection.sendall(b"".join(parts))
            self._ended.wait(20)

        return answer

    def trickles_after(self, begin: bytes, rest: bytes) -> Answer:
        """Return an answer that sends the beginning, then the rest byte by byte."""

        def answer(connection: socket.socket, _: dict[str, str]) -> None:
            connection.sendall(begin)
            for byte in rest:
                if self._ended.is_set():
                    return
                connection.sendall(bytes([byte]))
                time.sleep(0.02)

        return answer


def head(status: str = "200 OK", **headers: object) -> bytes:
    """Return the head of a response; ``_`` in a header's name stands for ``-``."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


@contextlib.contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    server = FaultyServer()
    try:
        yield server
    finally:
        server.close()
