"""The listening socket: takes connections as long as enough file descriptors are left for everything else."""

import contextlib
import errno
import os
import socket
from typing import Any

#: What one peer sends at once is dispatched before anybody else's turn, so the kernel gathers little of it (bytes).
RECEIVE_BUFFER = 16_384
#: Connections taken in one turn of the event loop. After a restart thousands wait, and taking one costs 0.1 ms: all at
#: once they would keep everybody else waiting.
ACCEPTED_AT_ONCE = 64


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
        self._accepted = 0
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY)

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises ConnectionAbortedError for a connection that was closed at once.

        Raises BlockingIOError if nobody waits, or after so many: the event loop then comes back in its next turn.
        """
        if self._accepted == ACCEPTED_AT_ONCE:
            self._accepted = 0
            raise BlockingIOError
        self._accepted += 1
        try:
            connection, address = super().accept()
        except BlockingIOError:
            self._accepted = 0
            raise
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._turn_away()
            raise ConnectionAbortedError("no descriptors left") from None
        if connection.fileno() > self.highest:
            connection.close()
            raise ConnectionAbortedError("no descriptors left")
        return connection, address

    def _turn_away(self) -> None:
        """Take a connection with the reserve's descriptor and close it: left waiting, it would wake us for ever."""
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        try:
            super().accept()[0].close()
        except OSError:  # nobody waits, or another thread was quicker
            raise BlockingIOError from None
        finally:
            with contextlib.suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY)
