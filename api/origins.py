"""What pages of other origins may do here in a browser: read the catalog and its files, and nothing else.

There is no login yet: a page that could do more could order or delete whatever the operator who looks at it can.
"""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READ = ("GET", "HEAD")
ASKED_BY_BODY = ("/search", "/aggregate")
"""Ends of addresses that are asked by POST, which changes nothing there."""


class ReadableElsewhere:
    """ASGI middleware: grants to other origins (Fetch standard, CORS) what reads, below ``/stac`` and ``/files``."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        """Take the origins whose pages may read; ``*`` for all."""
        self.app = app
        exposed = ("ETag", "Last-Modified", "Link", "Location", "Content-Range", "Content-Disposition")
        self._read, self._ask = (
            CORSMiddleware(
                app, allow_origins=origins, allow_methods=methods, allow_headers=["*"], expose_headers=exposed
            )
            for methods in (READ, (*READ, "POST"))
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"] if scope["type"] == "http" else ""
        if not path.startswith(("/stac", "/files/")):
            await self.app(scope, receive, send)
        elif any(name == b"origin" for name, _ in scope["headers"]):
            await (self._ask if path.endswith(ASKED_BY_BODY) else self._read)(scope, receive, send)
        else:  # from no page: nothing is granted, but the next one who asks a cache may be a page
            await self.app(scope, receive, _varying(send))


def _varying(send: Send) -> Send:
    async def vary(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"vary", b"Origin")]}
        await send(message)

    return vary
