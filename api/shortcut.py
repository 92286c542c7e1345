"""The short way to the few addresses that are asked for most: past the router, which tries its routes one by one.

The router answers them just the same; it is where they are declared, and where everything else is found.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_of

Endpoint = Callable[[Request], Awaitable[Response]]

Shortcuts = Mapping[tuple[str, str], Endpoint]
"""Method and path; in the path, ``{}`` stands for one segment that is not empty."""


class Shortcut:
    """ASGI middleware next to the router."""

    def __init__(self, app: ASGIApp, *, shortcuts: Shortcuts, names: tuple[str, ...]) -> None:
        """Take the short ways, and what the segments of a path are called, in turn."""
        self.app = app
        self._shortcuts = shortcuts
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._endpoint(scope) if scope["type"] == "http" and not scope.get("root_path") else None
        if endpoint is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except Exception as error:
            problem = problem_of(request, error)
            if problem is None:
                raise
            response = problem
        await response(scope, receive, send)

    def _endpoint(self, scope: Scope) -> Endpoint | None:
        method, path = scope["method"], scope["path"]
        if "{}" in path:  # it would be taken for a segment that stands for any
            return None
        found = self._shortcuts.get((method, path))
        if found is not None:
            return found
        segments = path.split("/")
        values = segments[3::2]
        if not all(values) or len(values) > len(self._names):
            return None
        segments[3::2] = ["{}"] * len(values)
        found = self._shortcuts.get((method, "/".join(segments)))
        if found is not None:
            scope["path_params"] = dict(zip(self._names, values, strict=False))
        return found
