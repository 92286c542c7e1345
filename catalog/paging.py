"""All items of a search, page after page."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from catalog.search import Search, View


def all_items(view: View, search: Search, *, at_once: int, most: int | None = None) -> Iterator[Sequence[bytes]]:
    """The items that a search finds from its token on, up to ``at_once`` at a time, ``most`` in all."""
    left = most
    while True:
        page = view.search(replace(search, limit=at_once if left is None else min(at_once, left), count=False))
        if page.items:
            yield page.items
        left = None if left is None else left - len(page.items)
        if page.next_token is None or left == 0:
            return
        search = replace(search, token=page.next_token)
