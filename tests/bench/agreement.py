"""Whether two servers answer alike: without that, how fast they answer cannot be compared."""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from tests.bench.servers import Server
from tests.bench.workload import COLLECTION

PAGES = 100


class DifferError(AssertionError):
    """Two servers answer the same question differently; the message shows the first difference."""


def same_searches(peer: Server, ours: Server, bodies: Iterable[Mapping[str, Any]]) -> None:
    """Compare searches: the same Items in the same order, and a next page for both or for neither."""
    for body in bodies:
        _same_page(peer.search(body), ours.search(body), body)


def same_items(peer: Server, ours: Server, paths: Iterable[str]) -> None:
    """Compare single Items, all but their links."""
    for path in paths:
        _same(_bare(peer.get(path)), _bare(ours.get(path)), path)


def same_walks(peer: Server, ours: Server) -> tuple[dict[str, Any], dict[str, Any]]:
    """Follow each server's own next links through a hundred pages; each one's body of the last."""
    first = {"collections": [COLLECTION], "limit": 10}
    pages = list(zip(peer.walk(first, PAGES), ours.walk(first, PAGES), strict=True))
    for (_, theirs), (body, answer) in pages:
        _same_page(theirs, answer, body)
    (their_body, _), (our_body, _) = pages[-1]
    return their_body, our_body


def _same_page(theirs: Mapping[str, Any], ours: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    for their_item, our_item in zip_longest(theirs["features"], ours["features"], fillvalue={}):
        _same(their_item.get("id"), our_item.get("id"), body)
        _same(_bare(their_item), _bare(our_item), body)
    _same(*("next" in {link["rel"] for link in answer["links"]} for answer in (theirs, ours)), f"next page of {body}")


def _bare(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "links"}


def _same(theirs: object, ours: object, question: object) -> None:
    if theirs == ours:
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        name = next(name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name))
        theirs, ours, question = theirs.get(name), ours.get(name), f"{name} of {question}"
    raise DifferError(f"{question}: theirs {theirs!r:.200}, ours {ours!r:.200}")
