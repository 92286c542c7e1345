"""What no request body may be: huge, endlessly nested, or JSON that only some parsers read."""

import re

import numpy as np
import orjson
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response

MAX_DEPTH = 100
"""Levels of arrays and objects in a body; GeoJSON needs six, a filter a few more."""

MAX_POSITIONS = 200_000
"""Arrays in a body: every position of a geometry is one, and a geometry has up to 100,000."""

SMALL_BYTES = 2**14
"""A body up to this size is looked at sooner than a thread takes it over."""

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
"""A string, also one that never ends: every byte is looked at once, whatever the body."""

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def nesting(body: bytes) -> int:
    """Deepest level of arrays and objects; counts the brackets outside of strings, so it needs no stack."""
    brackets = np.frombuffer(_STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS), dtype=np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    return int(np.cumsum(np.where(opening, 1, -1)).max(initial=0))


class BodyLimits:
    """ASGI middleware: reads a request's body whole, refuses a bad one, and hands a good one on.

    Python's own ``json`` also takes NaN and lone surrogates, which no database can hold; orjson keeps to RFC 8259.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 400, or call the app."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        body = None if _announced(scope) > self.max_bytes else await self._read(receive)
        small = body is not None and len(body) <= SMALL_BYTES
        refusal = self._refusal(body) if small else await run_in_threadpool(self._refusal, body)
        if refusal is not None:
            status, title, detail = refusal
            await problem_response(status, "body", title, detail, headers={"connection": "close"})(scope, receive, send)
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Read the whole body; None when it is too large, or the client has gone."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b""
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.max_bytes:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)

    def _refusal(self, body: bytes | None) -> tuple[int, str, str] | None:
        if body is None:
            return 413, "Body too large", f"the body exceeds {self.max_bytes} bytes; simplify the geometry"
        if not body.strip():
            return None
        arrays = body.count(b"[")
        if arrays > MAX_POSITIONS:
            return 400, "Body too long", f"the body holds {arrays} arrays; simplify the geometry to 100,000 positions"
        if arrays + body.count(b"{") > MAX_DEPTH and nesting(body) > MAX_DEPTH:
            return 400, "Body nested too deep", f"the body is nested more than {MAX_DEPTH} deep; write it flatter"
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return 400, "Body is no JSON", f"the body is no JSON (RFC 8259): {error}"
        return None


def _announced(scope: Scope) -> int:
    """Bytes that the client says it will send; 0 where it does not say."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
