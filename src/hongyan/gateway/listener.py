"""The listening socket: takes connections as long as enough file descriptors are left for everything else."""

import socket
from typing import Any

#: What one peer sends at once is dispatched before anybody else's turn, so the kernel gathers little of it (bytes).
RECEIVE_BUFFER = 16_384


class Listener(socket.socket):
    """Closes a connection at once if its descriptor is above `highest`.

    Descriptors are given lowest first, so the number of a new one says how many are taken. This also bounds
    connections that never ask for a websocket: until they do, nobody else counts them.
    """

    def __init__(self, host: str, port: int, backlog: int, highest: int) -> None:
        """Listen. Raises OSError if the address can't be taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::"
        plain = socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=both)
        super().__init__(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # connections inherit it
        self.highest = highest

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        if connection.fileno() > self.highest:
            connection.close()
            raise ConnectionAbortedError("no descriptors left")
        return connection, address
