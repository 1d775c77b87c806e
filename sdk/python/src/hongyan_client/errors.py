"""What can go wrong. `HongyanError` is the base of all: `except HongyanError` catches everything."""


class HongyanError(Exception):
    """The server refused. `code` and `reason` are the protocol's (`4303`, `CONVERSATION_NOT_FOUND`).

    `detail` is text for people. `app_code` is the own code of an application's hook, if that refused.
    """

    def __init__(self, code: int, reason: str, detail: str = "", app_code: int | None = None) -> None:
        super().__init__(f"{code} {reason}: {detail}" if detail else f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.detail = detail
        self.app_code = app_code


class ConnectionLost(HongyanError, ConnectionError):
    """The connection ended before the answer came, or could not be made. `code` is the websocket's close code."""


class ClientClosed(ConnectionLost):
    """The client was closed, by the application or by the server: it does not connect again."""


class RequestTimeout(HongyanError, TimeoutError):
    """No answer came in time. Whether the server did what was asked is not known."""

    def __init__(self, detail: str) -> None:
        super().__init__(TIMEOUT_CODE, "REQUEST_TIMEOUT", detail)


#: The code that other SDKs give to a request without an answer.
TIMEOUT_CODE = 9000
#: The close code of a connection that ended without a close frame (RFC 6455, 7.4.1).
ABNORMAL = 1006
