"""Answers as small as the client can take them: zstd, brotli or gzip, by starlette-compress."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type

MIN_BYTES = 1000
"""Below, compressing costs more than it saves."""

for _media_type in (
    "application/geo+json", "application/schema+json", "application/problem+json", "application/x-ndjson",
    "application/vnd.oai.openapi+json",
):  # fmt: skip
    add_compress_type(_media_type)


class Compressed:
    """ASGI middleware; an ETag of an encoded answer is a weak one (RFC 9110, 8.8.1)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._compress = CompressMiddleware(
            app, minimum_size=MIN_BYTES, zstd_level=3, brotli_quality=4, gzip_level=5, remove_accept_encoding=True
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; files are sent as they are, since clients read them by ranges."""
        if scope["type"] != "http" or "/files/" in scope["path"] or not _accepts(scope):
            await self.app(scope, receive, send)
            return

        async def weaken(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if any(name == b"content-encoding" for name, _ in headers):
                    message = {**message, "headers": [_weak(name, value) for name, value in headers]}
            await send(message)

        await self._compress(scope, receive, weaken)


def _accepts(scope: Scope) -> bool:
    """Whether the client names an encoding that it takes; one that takes anything may not know what it then gets."""
    return any(name == b"accept-encoding" and value not in (b"identity", b"*") for name, value in scope["headers"])


def _weak(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return (name, b"W/" + value) if name == b"etag" and not value.startswith(b"W/") else (name, value)
