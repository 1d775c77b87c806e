"""Taking the ports, with one clear sentence when one can't be had."""

import errno
import socket

from hongyan.errors import StartupError

_REASONS = {
    errno.EADDRINUSE: "is in use by another program",
    errno.EACCES: "may not be taken by this user: ports below 1024 belong to root",
    errno.EADDRNOTAVAIL: "can't be taken: the address does not belong to this machine",
}


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A socket that listens on the address. `setting` is the port's name in the sentence. Raises StartupError.

    Bound alone, another program could still listen there first: uvloop then closes the socket without a word.
    """
    try:
        family, kind, protocol, _, address = _resolve(host, port)
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise refusal(host, port, setting, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise refusal(host, port, setting, error) from None
    return listener


def refusal(host: str, port: int, setting: str, error: OSError) -> StartupError:
    """The sentence for a port that can't be listened on."""
    if isinstance(error, socket.gaierror):
        return StartupError(f"The address `{host}` (setting `host`) is unknown.")
    reason = _REASONS.get(error.errno or 0, f"can't be taken: {error.strerror}")
    return StartupError(f"Port {port} on {host} (setting `{setting}`) {reason}.")


def _resolve(
    host: str, port: int
) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return min(found, key=lambda entry: entry[0] != socket.AF_INET)
