"""One request to an object store: tried again where that may help, and an error in words where it does not.

Connections are kept for the next request, since S3 answers one faster than TLS begins.
"""

import atexit
import http.client
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from processing.errors import OutputError

TRIES: Final = 5
"""Of one request; the waits between them are 0.2, 0.4, 0.8 … seconds."""

TIMEOUT_S: Final = 60.0
"""Without a byte."""

_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that say nothing about the request."""

_idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
"""By scheme and host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters."""

    body: bytes


def exchange(
    method: str,
    address: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    missing_is_fine: bool = False,
) -> Answer:
    """Make a request that may be made twice.

    Raises
    ------
    OutputError
        It is refused, or there is no answer; the address is told without its signature.
    """
    shown = f"{method} {address.partition('?')[0]}"
    for attempt in range(TRIES):
        last = attempt == TRIES - 1
        try:
            answer = _once(method, address, body, headers or {})
        except (OSError, http.client.HTTPException) as error:
            if last:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise OutputError(f"{shown}: no answer ({reason}); is the endpoint right?") from None
        else:
            if answer.status < 300 or (missing_is_fine and answer.status == 404):
                return answer
            if last or answer.status not in _AGAIN:
                raise OutputError(f"{shown}: {_reason(answer)}")
        time.sleep(0.2 * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _once(method: str, address: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    parts = urlsplit(address)
    idle = _idle.setdefault((parts.scheme, parts.netloc), [])
    try:
        connection = idle.pop()
    except IndexError:
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(status=response.status, headers=found, body=response.read())
    except BaseException:
        connection.close()
        raise
    idle.append(connection)  # one that the store has closed opens itself again
    return answer


@atexit.register
def _close() -> None:
    for connections in _idle.values():
        while connections:
            connections.pop().close()


def _reason(answer: Answer) -> str:
    """Status, and what S3's error document says; it is short and has no attributes."""
    text = answer.body[:4096].decode(errors="replace")
    said = [found.group(1) for name in ("Code", "Message") if (found := re.search(f"<{name}>([^<]*)</{name}>", text))]
    hint = "; give its region" if answer.status in (301, 307, 400) and "Region" in text else ""
    return f"{answer.status} {': '.join(said) or 'without a reason'}{hint}"
