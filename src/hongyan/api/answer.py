"""What handlers return, as JSON, in fewer steps than the framework takes for answers that may be anything."""

from typing import Any

from litestar import MediaType, Request, Response
from litestar.serialization import get_serializer
from litestar.types import ASGIApp, Receive, Scope, Send

_JSON = (b"content-type", MediaType.JSON.value.encode())


class Answer(Response[Any]):
    """The application's `response_class`: it makes an answer of whatever a handler returns."""

    def to_asgi_response(self, app: None, request: Request[Any, Any, Any], **given: Any) -> ASGIApp:  # type: ignore[override]
        """Called by the framework."""
        is_more = self.headers or self.cookies or self.background or any(given.values())
        if is_more or self.status_code != 200 or self.media_type != MediaType.JSON:
            return super().to_asgi_response(app, request, **given)
        body = self.render(self.content, MediaType.JSON, get_serializer(self.response_type_encoders))
        headers = [_JSON, (b"content-length", b"%d" % len(body))]

        async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})

        return answer
