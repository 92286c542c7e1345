"""HEAD wherever GET is answered (RFC 9110, 9.3.2): the routes know only GET."""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """Middleware that hands HEAD on as GET; the server, which knows what was asked, sends no body.

    Files have a HEAD of their own, which does not read them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and "/files/" not in scope["path"]:
            scope = {**scope, "method": "GET", "head": True}
        await self.app(scope, receive, send)
