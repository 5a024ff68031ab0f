"""Port for processes that meet on this machine."""

import random
import socket


def free_port():
    """Return an unused port below those that the system assigns to connections."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
