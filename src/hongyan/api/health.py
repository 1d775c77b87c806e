"""For supervisors and load balancers: is the process alive, and is it of use."""

from litestar import Router, get

from hongyan.api.errors import HttpError
from hongyan.api.site import CurrentSite


@get("/live")
async def live() -> dict[str, str]:
    """200 as long as the event loop turns."""
    return {"status": "live"}


@get("/ready")
async def ready(site: CurrentSite) -> dict[str, str]:
    """200 while clients can be served, 503 while starting and stopping."""
    if not site.ready:
        raise HttpError(503, "The server is starting or stopping.")
    return {"status": "ready"}


router = Router("/health", route_handlers=[live, ready])
