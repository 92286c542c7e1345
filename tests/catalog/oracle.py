"""Brute force: every item is held against every condition, in plain Python and shapely.

Written from what `catalog.filter`, `catalog.search` and OGC 21-065r2 say, not from any store's statements. Whether
shapes touch on the globe is tried with the shapes as they were drawn, see `documents.Drawn`.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby

from catalog.antimeridian import leaves
from catalog.summary import kind_of
from tests.catalog.known import CORE, microseconds
from tests.catalog.oracle_filter import evaluate


@dataclass
class Oracle:
    """What a catalog should hold, and what it should say."""

    tenants: dict = field(default_factory=dict)
    """Whose each collection is; None is nobody's."""

    items: dict = field(default_factory=dict)
    """By collection and id."""

    def put(self, known):
        self.items[known.name] = known

    def visible(self, tenants):
        return {name for name, tenant in self.tenants.items() if tenants is None or tenant is None or tenant in tenants}

    def find(self, search, tenants=None):
        """Collection and id of every item that a search finds, in its order."""
        seen = self.visible(tenants)
        found = [known for known in self.items.values() if known.name[0] in seen and matches(search, known)]
        return [known.name for known in in_order(found, search.sortby)]

    def held(self, collections):
        """Names of the properties that items of some collections have."""
        some = [known for known in self.items.values() if known.name[0] in collections]
        return {name for known in some for name, value in known.properties.items() if value is not None}


def matches(search, known):
    """Whether an item meets every condition of a search."""
    collection, name = known.name
    _, since, until = known.times
    conditions = (
        search.collections is None or collection in search.collections,
        search.ids is None or name in search.ids,
        search.place() is None or known.touches(search.place()) is True,
        search.datetime is None or overlaps(search.datetime, since, until),
        search.filter is None or evaluate(search.filter, known) is True,
        search.text is None or any(holds(known.properties, term) for term in search.text),
    )
    return all(conditions)


def overlaps(window, since, until):
    start, end = (None if one is None else microseconds(one.isoformat()) for one in (window.start, window.end))
    return (end is None or since <= end) and (start is None or until >= start)


def in_order(found, sortby):
    """The last key is sorted by first, as Python's sort keeps the order of what is the same."""
    down = sortby[0].descending
    rows = sorted(found, key=lambda known: known.name, reverse=down)
    for key in reversed(sortby):
        values = {known.name: sort_value(known, key.property) for known in rows}
        present = [known for known in rows if values[known.name] is not None]
        present.sort(key=lambda known, values=values: values[known.name], reverse=key.descending)
        rows = present + [known for known in rows if values[known.name] is None]
    return rows


def sort_value(known, name):
    """Numbers before text; neither is None."""
    value = known.value(name)
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, bool | int | float):
        return (0, float(value) if name not in CORE else value)
    return None


def tokens(text):
    return ["".join(run) for is_word, run in groupby(text.casefold(), str.isalnum) if is_word]


def holds(properties, term):
    """Whether the words of a term stand next to each other somewhere in what people read."""
    wanted = tokens(term)
    keywords = properties.get("keywords")
    texts = [properties.get("title"), properties.get("description")]
    texts += keywords if isinstance(keywords, list) else []
    return bool(wanted) and any(
        tokens(text)[at : at + len(wanted)] == wanted
        for text in texts
        if isinstance(text, str)
        for at in range(len(tokens(text)))
    )


# --- what a collection holds ---


def recount(items):
    """Of every property of some items: kinds, range of numbers, range of date-times, and how many have each text."""
    held = {}
    for known in items:
        for name, value in known.properties.items():
            if value is not None:
                held.setdefault(name, []).append(value)
    return {name: recount_values(values) for name, values in held.items()}


def recount_values(values):
    by_kind = {}
    for value in values:
        by_kind.setdefault(kind_of(value), []).append(value)
    numbers, instants = by_kind.get("integer", []) + by_kind.get("number", []), by_kind.get("instant", [])
    texts = [{value} for value in by_kind.get("text", [])]
    texts += [{one for one in value if isinstance(one, str)} for value in by_kind.get("array", [])]
    return {
        "kinds": {kind: len(some) for kind, some in by_kind.items()},
        "range": (min(numbers, default=None), max(numbers, default=None)),
        "moments": (min(instants, default=None), max(instants, default=None)),
        "values": dict(Counter(text for some in texts for text in some)),
    }


def arc_around(arcs):
    """West edge and width of the narrowest arc around arcs of longitude, each given the same way."""
    tried = [(start, max((west - start) % 360 + width for west, width in arcs)) for start, _ in arcs]
    return min(tried, key=lambda arc: arc[1])


def arc_of(shape):
    """The narrowest arc of longitude around a shape that was cut at the antimeridian."""
    parts = [part.bounds for part in leaves([shape])]
    return arc_around([(west, east - west) for west, _, east, _ in parts])
