"""What a collection holds: its extent, and of each property the types, the range and the values.

Kept as items come and go. What comes can only widen a range; where what goes may have been its end, the summary says
that it has to be looked at again (`stale`), and a store does so before it shows it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

from catalog.antimeridian import Box
from catalog.extent import format_time, moment_of

MAX_VALUES = 50
"""Above so many different values of a property they are no longer listed."""

MAX_VALUE_LENGTH = 100

MAX_PROPERTIES = 500
"""Of one collection; more are data in the place of names."""

MAX_SPANS = 64

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII)


@dataclass(slots=True)
class PropertySummary:
    """One property of the items of a collection."""

    kinds: dict[str, int] = field(default_factory=dict)
    """How many items have it as ``integer``, ``number``, ``text``, ``instant``, ``boolean``, ``array``, ``object``."""

    low: float | None = None
    high: float | None = None
    """Range of its numbers."""

    first: str | None = None
    last: str | None = None
    """Range of its date-times, as they are written."""

    values: dict[str, int] | None = field(default_factory=dict)
    """How many items have each text, itself or in an array; None where they are too many to list."""

    @property
    def is_selective(self) -> bool:
        """Whether a value tells few items from many."""
        return self.values is None or (self.low != self.high)

    def add(self, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Count one item's value."""
        kind = kind_of(value)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind in ("number", "integer"):
            if self.low is None or value < self.low:
                self.low = value
            if self.high is None or value > self.high:
                self.high = value
        elif kind == "instant":
            if self.first is None or value < self.first:
                self.first = value
            if self.last is None or value > self.last:
                self.last = value
        elif self.values is not None and kind in ("text", "array"):
            for text in _texts(value):
                if text not in self.values and (len(self.values) == MAX_VALUES or len(text) > MAX_VALUE_LENGTH):
                    self.values = None
                    return
                self.values[text] = self.values.get(text, 0) + 1

    def remove(self, value: Any) -> bool:  # noqa: ANN401 - any JSON
        """Take one item's value out; whether the rest has to be looked at again."""
        kind = kind_of(value)
        self.kinds[kind] = self.kinds.get(kind, 0) - 1
        if self.kinds[kind] <= 0:
            del self.kinds[kind]
        if kind in ("number", "integer"):
            return bool(value in (self.low, self.high))
        if kind == "instant":
            return value in (self.first, self.last)
        if kind in ("text", "array"):
            if self.values is None:
                return not {"text", "array"} & self.kinds.keys()
            for text in _texts(value):
                self.values[text] = self.values.get(text, 0) - 1
                if self.values[text] <= 0:
                    del self.values[text]
        return False


@dataclass(slots=True)
class Extent:
    """Where and when the items of a collection lie."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    """Stretches of longitude that items cover, from west to east, apart from each other."""

    south: float | None = None
    north: float | None = None
    since: int | None = None
    until: int | None = None
    """Microseconds since 1970."""

    def add(self, box: Box | None, since: int, until: int) -> None:
        """Widen it by an item; west > east crosses the antimeridian."""
        if self.since is None or since < self.since:
            self.since = since
        if self.until is None or until > self.until:
            self.until = until
        if box is None:
            return
        west, south, east, north = box
        if self.south is None or south < self.south:
            self.south = south
        if self.north is None or north > self.north:
            self.north = north
        for span in ((west, east),) if west <= east else ((west, 180.0), (-180.0, east)):
            self._cover(*span)

    def _cover(self, west: float, east: float) -> None:
        place = bisect_right(self.spans, (west, 360.0)) - 1
        if place >= 0 and self.spans[place][1] >= east:
            return  # as nearly every item of a large collection
        merged: list[tuple[float, float]] = []
        for start, end in sorted([*self.spans, (west, east)]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        while len(merged) > MAX_SPANS:  # the widest gaps are what counts
            gaps = [right[0] - left[1] for left, right in pairwise(merged)]
            narrow = gaps.index(min(gaps))
            merged[narrow : narrow + 2] = [(merged[narrow][0], merged[narrow + 1][1])]
        self.spans = merged

    @property
    def bbox(self) -> Box | None:
        """The narrowest box around all items; west > east where it crosses the antimeridian."""
        if not self.spans or self.south is None or self.north is None:
            return None
        ends = [*self.spans, (self.spans[0][0] + 360, 0.0)]
        width, east, west = max((right[0] - left[1], left[1], right[0]) for left, right in pairwise(ends))
        if width <= 0:
            return (-180.0, self.south, 180.0, self.north)
        return (west if west <= 180 else west - 360, self.south, east, self.north)

    def geojson(self) -> dict[str, Any] | None:
        """STAC's extent object; None where there are no items."""
        if self.since is None or self.until is None:
            return None
        interval = [[format_time(moment_of(self.since)), format_time(moment_of(self.until))]]
        box = self.bbox or (-180.0, -90.0, 180.0, 90.0)
        return {"spatial": {"bbox": [list(box)]}, "temporal": {"interval": interval}}


@dataclass(slots=True)
class Summary:
    """What one collection holds."""

    count: int = 0
    """Items."""

    extent: Extent = field(default_factory=Extent)
    properties: dict[str, PropertySummary] = field(default_factory=dict)

    stale: set[str] = field(default_factory=set)
    """Properties to look at again; the empty name stands for the extent."""

    def add(self, properties: Mapping[str, Any], box: Box | None, since: int, until: int) -> None:
        """Count an item that came."""
        self.count += 1
        self.extent.add(box, since, until)
        for name, value in properties.items():
            if value is None:
                continue
            known = self.properties.get(name)
            if known is None:
                if len(self.properties) >= MAX_PROPERTIES:
                    continue
                known = self.properties[name] = PropertySummary()
            known.add(value)

    def remove(self, properties: Mapping[str, Any]) -> None:
        """Take an item out that went; its extent is looked at again."""
        self.count -= 1
        self.stale.add("")
        for name, value in properties.items():
            known = self.properties.get(name)
            if value is None or known is None:
                continue
            if known.remove(value):
                self.stale.add(name)
            if not known.kinds:
                del self.properties[name]
                self.stale.discard(name)

    def renew_extent(self, boxes: Iterable[tuple[Box | None, int, int]]) -> None:
        """Look at the box and span of every item again."""
        self.extent = Extent()
        for box, since, until in boxes:
            self.extent.add(box, since, until)
        self.stale.discard("")

    def renew_property(self, name: str, values: Iterable[Any]) -> None:
        """Look at one property of every item again."""
        renewed = PropertySummary()
        for value in values:
            if value is not None:
                renewed.add(value)
        self.properties.pop(name, None)
        if renewed.kinds:
            self.properties[name] = renewed
        self.stale.discard(name)

    def to_json(self) -> dict[str, Any]:
        """As plain data, for a store to keep."""
        extent = self.extent
        return {
            "count": self.count,
            "extent": [extent.spans, extent.south, extent.north, extent.since, extent.until],
            "properties": {
                name: [one.kinds, one.low, one.high, one.first, one.last, one.values]
                for name, one in self.properties.items()
            },
            "stale": sorted(self.stale),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """From what `to_json` gave."""
        spans, *rest = kept["extent"]
        return cls(
            count=kept["count"],
            extent=Extent([(west, east) for west, east in spans], *rest),
            properties={name: PropertySummary(*one) for name, one in kept["properties"].items()},
            stale=set(kept["stale"]),
        )


_KINDS = {int: "integer", float: "number", bool: "boolean", list: "array", tuple: "array"}


def kind_of(value: Any) -> str:  # noqa: ANN401 - any JSON
    """The kind of a JSON value; text that is a date-time is an ``instant``."""
    if isinstance(value, str):
        return "instant" if 19 < len(value) < 40 and _INSTANT.fullmatch(value) else "text"
    return _KINDS.get(type(value), "object")


def _texts(value: Any) -> Iterable[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return (value,)
    return {one for one in value if isinstance(one, str)}
