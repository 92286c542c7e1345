"""Where a page starts: the place in the order of items, signed for the search that it belongs to.

A place, unlike a number of items to skip, stays right while items come and go.
"""

import hmac
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from catalog.errors import InvalidSearchError
from catalog.search import Search

_MAC_BYTES = 12
_MAX_TOKEN = 8192

KeyValue = float | int | str | None
"""What an item is sorted by; None is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the order of items, and which way to read from there."""

    backwards: bool
    """Against the order of the search."""

    inclusive: bool = False
    """Whether an item exactly there belongs to the page."""

    keys: tuple[KeyValue, ...]
    """Of the item there, one for each of `Search.sortby`; a moment is microseconds since 1970."""

    id: str
    collection: str

    def turned(self) -> "Position":
        """From here the other way, so that both together miss nothing."""
        return Position(
            backwards=not self.backwards,
            inclusive=not self.inclusive,
            keys=self.keys,
            id=self.id,
            collection=self.collection,
        )


def write_token(position: Position, search: Search, scope: frozenset[str] | None, key: bytes) -> str:
    """Make a token that only this search, asked by who sees the same, of the catalog with this key, takes back."""
    fields = [int(position.backwards), int(position.inclusive), position.id, position.collection, *position.keys]
    payload = orjson.dumps(fields)
    return urlsafe_b64encode(_mac(payload, search, scope, key) + payload).decode().rstrip("=")


def read_token(token: str, search: Search, scope: frozenset[str] | None, key: bytes) -> Position:
    """Read it back.

    Raises
    ------
    InvalidSearchError
        It was altered, or made for another search, for who sees something else, or by another catalog.
    """
    refusal = InvalidSearchError("token: it is not one of this search; follow the links of its pages as they are")
    if len(token) > _MAX_TOKEN:
        raise refusal
    try:
        raw = b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise refusal from None
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(payload, search, scope, key)):
        raise refusal
    backwards, inclusive, item, collection, *keys = orjson.loads(payload)
    return Position(
        backwards=bool(backwards), inclusive=bool(inclusive), keys=tuple(keys), id=item, collection=collection
    )


def _mac(payload: bytes, search: Search, scope: frozenset[str] | None, key: bytes) -> bytes:
    conditions = (
        None if search.collections is None else sorted(search.collections),
        None if search.ids is None else sorted(search.ids),
        None if search.bbox is None else search.bbox.as_tuple(),
        None
        if search.intersects is None
        else orjson.dumps(search.intersects, option=orjson.OPT_SORT_KEYS, default=dict),
        None if search.datetime is None else (search.datetime.start, search.datetime.end),
        search.filter,
        search.text,
        [(key.property, key.descending) for key in search.sortby],
        None if scope is None else sorted(scope),
    )
    # A value's repr names all of it; dataclasses of plain values have a stable one.
    signed = repr(conditions).encode("utf-8", "surrogatepass") + b"\n" + payload
    return blake2b(signed, key=key, digest_size=_MAC_BYTES).digest()  # keyed BLAKE2 is a MAC (RFC 7693, 2.9)
