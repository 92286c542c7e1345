"""Where a page starts: the place in the order of items, signed for the search that it belongs to.

A place, unlike a number of items to skip, stays right while items come and go.
"""

import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass

from catalog.errors import InvalidSearchError
from catalog.search import Search

_MAC_BYTES = 12
_MAX_TOKEN = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the order of items, and which way to read from there."""

    backwards: bool
    """Towards newer items."""

    inclusive: bool = False
    """Whether an item exactly there belongs to the page."""

    rank: int
    """Minus the moment of the item there, microseconds since 1970."""

    id: str
    collection: str

    def turned(self) -> "Position":
        """From here the other way, so that both together miss nothing."""
        return Position(
            backwards=not self.backwards,
            inclusive=not self.inclusive,
            rank=self.rank,
            id=self.id,
            collection=self.collection,
        )


def write_token(position: Position, search: Search, key: bytes) -> str:
    """Make a token that only this search, asked of the catalog with this key, takes back."""
    fields = [int(position.backwards), int(position.inclusive), position.rank, position.id, position.collection]
    payload = json.dumps(fields, separators=(",", ":")).encode()
    return urlsafe_b64encode(_mac(payload, search, key) + payload).decode().rstrip("=")


def read_token(token: str, search: Search, key: bytes) -> Position:
    """Read it back.

    Raises
    ------
    InvalidSearchError
        It was altered, or made for another search or by another catalog.
    """
    refusal = InvalidSearchError("token: it is not one of this search; follow the links of its pages as they are")
    if len(token) > _MAX_TOKEN:
        raise refusal
    try:
        raw = b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise refusal from None
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(payload, search, key)):
        raise refusal
    backwards, inclusive, rank, item, collection = json.loads(payload)
    return Position(backwards=bool(backwards), inclusive=bool(inclusive), rank=rank, id=item, collection=collection)


def _mac(payload: bytes, search: Search, key: bytes) -> bytes:
    conditions = [
        None if search.collections is None else sorted(search.collections),
        None if search.ids is None else sorted(search.ids),
        None if search.bbox is None else search.bbox.as_tuple(),
        search.intersects,
        None if search.datetime is None else str(search.datetime),
    ]
    signed = json.dumps(conditions, sort_keys=True, default=dict).encode() + b"\n" + payload
    return hmac.digest(key, signed, "sha256")[:_MAC_BYTES]
