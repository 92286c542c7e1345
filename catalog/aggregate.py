"""Figures over all items that a search finds: counts, ranges, histograms, grids, terms (STAC API – Aggregation).

A store reads narrow rows of what is asked for; they are added up here, one pass for all figures, so that every store
says the same.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from catalog.errors import InvalidSearchError
from catalog.extent import format_time, moment_of
from catalog.filter import CORE, GEOMETRY, canonical

Figure = Literal["count", "min", "max", "terms", "histogram", "datetime", "geohash", "geotile"]

LON, LAT = "\0lon", "\0lat"
"""Columns of the centre of an item; no property has such a name."""

MAX_BUCKETS = 10_000
"""More different ones are counted together, as overflow."""

MAX_AGGREGATIONS = 20

Value = float | str | None
"""Of a property: a number, also 0 and 1 for false and true, or text; None is missing."""

Key = str | int | tuple[int, int]
"""What a bucket is counted under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """A figure that is asked for."""

    name: str
    """As the client asks for it, and as the answer names it."""

    figure: Figure
    column: str
    """What a store reads of every item: ``datetime`` (µs), ``collection``, `LON`, or a property."""

    step: float | str | None = None
    """Width of a numeric bucket; year, month, day or hour; characters of a geohash; zoom of a tile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """How often something was found."""

    key: str
    frequency: int
    start: float | None = None
    end: float | None = None
    """Of a numeric bucket: from its start up to, but without, its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """A figure; one of value and buckets."""

    name: str
    data_type: str
    value: int | str | None = None
    buckets: tuple[Bucket, ...] | None = None
    bucket_type: str = "string"
    overflow: int = 0
    """Items in buckets beyond `MAX_BUCKETS`."""


def _histogram(name: str, column: str, step: float) -> Aggregation:
    return Aggregation(name=name, figure="histogram", column=column, step=step)


STANDARD: Mapping[str, Aggregation] = {
    one.name: one
    for one in (
        Aggregation(name="total_count", figure="count", column="collection"),
        Aggregation(name="datetime_min", figure="min", column="datetime"),
        Aggregation(name="datetime_max", figure="max", column="datetime"),
        Aggregation(name="datetime_frequency", figure="datetime", column="datetime", step="month"),
        Aggregation(name="collection_frequency", figure="terms", column="collection"),
        Aggregation(name="platform_frequency", figure="terms", column="platform"),
        Aggregation(name="grid_code_frequency", figure="terms", column="grid:code"),
        _histogram("cloud_cover_frequency", "eo:cloud_cover", 10),
        _histogram("off_nadir_frequency", "view:off_nadir", 5),
        _histogram("sun_elevation_frequency", "view:sun_elevation", 10),
        _histogram("sun_azimuth_frequency", "view:sun_azimuth", 30),
        Aggregation(name="grid_geohash_frequency", figure="geohash", column=LON, step=3),
        Aggregation(name="centroid_geohash_grid_frequency", figure="geohash", column=LON, step=3),
        Aggregation(name="grid_geotile_frequency", figure="geotile", column=LON, step=5),
        Aggregation(name="centroid_geotile_grid_frequency", figure="geotile", column=LON, step=5),
    )
}

GENERIC: Mapping[str, Figure] = {"terms": "terms", "histogram": "histogram"}
"""Before the name of any property, as ``terms:gsd`` and ``histogram:view:azimuth``."""

MOMENTS = tuple(name for name, kind in CORE.items() if kind == "instant")

_INTERVALS = ("year", "month", "day", "hour")
_MAX_PRECISION = {"geohash": 12, "geotile": 29}


def aggregation(name: str, step: str | None = None) -> Aggregation:
    """Find what a name asks for; ``step`` is its interval or precision as it was written.

    Raises
    ------
    InvalidSearchError
        There is no such figure, or no such step of it.
    """
    found = STANDARD.get(name)
    kind, _, prop = name.partition(":")
    if found is None and kind in GENERIC and canonical(prop) in (GEOMETRY, *MOMENTS):
        raise InvalidSearchError(f"aggregations: {name[:60]}: it is no number and no text; ask for datetime_frequency")
    if found is None and kind in GENERIC and prop:
        default = 10 if kind == "histogram" else None
        found = Aggregation(name=name, figure=GENERIC[kind], column=canonical(prop), step=default)
    if found is None:
        known = ", ".join((*STANDARD, *(f"{kind}:PROPERTY" for kind in GENERIC)))
        raise InvalidSearchError(f"aggregations: there is no {name[:60]!r}; known are {known}")
    return found if step is None else replace(found, step=_step(found, step))


def _step(of: Aggregation, written: str) -> float | str:
    if of.figure == "datetime":
        if written not in _INTERVALS:
            raise InvalidSearchError(f"{of.name}: interval {written[:40]!r}; give one of {', '.join(_INTERVALS)}")
        return written
    if of.figure not in ("histogram", *_MAX_PRECISION):
        raise InvalidSearchError(f"{of.name}: it has no interval and no precision")
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if of.figure == "histogram" and 0 < number < math.inf:
        return number
    most = _MAX_PRECISION.get(of.figure, 0)
    if of.figure in _MAX_PRECISION and (of.figure == "geotile") * -1 < number <= most and number == int(number):
        return int(number)
    wanted = "a width above 0" if of.figure == "histogram" else f"a whole number up to {most}"
    raise InvalidSearchError(f"{of.name}: {written[:40]!r} is no step of it; give {wanted}")


def properties_of_aggregations(wanted: Iterable[Aggregation]) -> tuple[str, ...]:
    """Properties that figures are about, beyond what every item has."""
    return tuple(one.column for one in wanted if one.column not in ("datetime", "collection", LON))


def columns(wanted: Sequence[Aggregation]) -> tuple[str, ...]:
    """What a store reads of every item: ``datetime`` (µs), ``collection``, `LON`, `LAT`, or a property."""
    named = [one.column for one in wanted]
    return tuple(dict.fromkeys((*named, LAT) if LON in named else named))


def fold(wanted: Sequence[Aggregation], rows: Iterable[tuple[Any, ...]]) -> Sequence[Aggregate]:
    """Add up rows of those columns."""
    places = {name: place for place, name in enumerate(columns(wanted))}
    sums = [_Sum(one, places) for one in wanted]
    for row in rows:
        for one in sums:
            one.add(row)
    return tuple(one.result() for one in sums)


class _Sum:
    """One figure while it is added up."""

    def __init__(self, wanted: Aggregation, places: Mapping[str, int]) -> None:
        self._wanted = wanted
        self._count = 0
        self._low: int | None = None
        self._high: int | None = None
        self._counts: Counter[Key] = Counter()
        self._overflow = 0
        place = places[wanted.column]
        self.add: Callable[[tuple[Any, ...]], None]
        if wanted.figure == "count":
            self.add = self._add_one
        elif wanted.figure in ("min", "max"):
            self.add = lambda row: self._add_moment(row[place])
        else:
            key = _key(wanted, place, places)
            self.add = lambda row: self._add_key(key(row))

    def _add_one(self, _row: tuple[Any, ...]) -> None:
        self._count += 1

    def _add_moment(self, moment: int) -> None:
        self._low = moment if self._low is None or moment < self._low else self._low
        self._high = moment if self._high is None or moment > self._high else self._high

    def _add_key(self, key: Key | None) -> None:
        if key is None:
            return
        if key in self._counts or len(self._counts) < MAX_BUCKETS:
            self._counts[key] += 1
        else:
            self._overflow += 1

    def result(self) -> Aggregate:
        name, figure = self._wanted.name, self._wanted.figure
        if figure == "count":
            return Aggregate(name=name, data_type="integer", value=self._count)
        if figure in ("min", "max"):
            moment = self._low if figure == "min" else self._high
            return Aggregate(
                name=name, data_type="datetime", value=None if moment is None else format_time(moment_of(moment))
            )
        return Aggregate(
            name=name,
            data_type="frequency_distribution",
            buckets=tuple(_bucket(self._wanted, key, often) for key, often in self._ordered()),
            bucket_type={"datetime": "datetime", "histogram": "numeric"}.get(figure, "string"),
            overflow=self._overflow,
        )

    def _ordered(self) -> list[tuple[Any, int]]:
        """Numbers and times in their order, everything else the most frequent first."""
        if self._wanted.figure in ("histogram", "datetime"):
            return sorted(self._counts.items(), key=_by_key)
        return sorted(self._counts.items(), key=lambda one: (-one[1], str(one[0])))


def _by_key(one: tuple[Any, int]) -> Any:  # noqa: ANN401 - keys of one figure are of one type
    return one[0]


def _key(wanted: Aggregation, place: int, places: Mapping[str, int]) -> Callable[[tuple[Any, ...]], Key | None]:
    """What a row is counted under; None where it has nothing of that kind."""
    step = wanted.step
    if wanted.figure == "terms":
        return lambda row: None if row[place] is None else _term(row[place])
    if wanted.figure == "datetime":
        length = {"year": 4, "month": 7, "day": 10, "hour": 13}[str(step)]
        return lambda row: moment_of(row[place]).isoformat()[:length]
    if wanted.figure == "histogram":
        width = float(step or 1)
        return lambda row: _step_of(row[place], width) if isinstance(row[place], int | float) else None
    lat = places[LAT]
    cell = geohash if wanted.figure == "geohash" else geotile
    precision = int(step or 0)
    return lambda row: None if row[place] is None else cell(row[place], row[lat], precision)


def _step_of(value: float, width: float) -> int | None:
    """The number of the bucket that holds a value; None where there are more of them than a double counts."""
    quotient = value / width
    if not math.isfinite(quotient):
        return None
    number = math.floor(quotient)
    if (number + 1) * width <= value < (number + 2) * width:  # the quotient was rounded down below a border
        return number + 1
    return number - 1 if (number - 1) * width <= value < number * width else number


def _term(value: Value) -> str:
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else repr(value)
    return str(value)


_BEGINS = {4: "-01-01T00:00:00Z", 7: "-01T00:00:00Z", 10: "T00:00:00Z", 13: ":00:00Z"}


def _bucket(wanted: Aggregation, key: Key, frequency: int) -> Bucket:
    if wanted.figure == "histogram":
        assert isinstance(key, int)
        width = float(wanted.step or 1)
        start, end = key * width, (key + 1) * width
        return Bucket(key=repr(start).removesuffix(".0"), frequency=frequency, start=start, end=end)
    text = str(key)
    return Bucket(key=text + _BEGINS[len(text)] if wanted.figure == "datetime" else text, frequency=frequency)


_BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz"


def geohash(lon: float, lat: float, precision: int) -> str:
    """The geohash of a place (Niemeyer 2008): interleaved bits of longitude and latitude, five a character."""
    bits = 5 * precision
    columns_, rows = (bits + 1) // 2, bits // 2
    x = min(2**columns_ - 1, int((lon + 180) / 360 * 2**columns_))
    y = min(2**rows - 1, int((lat + 90) / 180 * 2**rows))
    code = 0
    for bit in range(bits):  # the first bit, and then every other one, is of the longitude
        of_x = bit % 2 == 0
        left = columns_ - 1 - bit // 2 if of_x else rows - 1 - bit // 2
        code = code << 1 | ((x if of_x else y) >> left & 1)
    return "".join(_BASE32[code >> shift & 31] for shift in range(bits - 5, -1, -5))


MAX_TILE_LAT = 85.05112877980659
"""Where the Web Mercator map ends (OGC 17-083r4, annex D)."""


def geotile(lon: float, lat: float, zoom: int) -> str:
    """Zoom, column and row of the Web Mercator tile of a place; beyond the map's end, of the tile at the end."""
    sine = math.sin(math.radians(max(-MAX_TILE_LAT, min(MAX_TILE_LAT, lat))))
    x = (lon + 180) / 360
    y = 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi)
    last = 2**zoom - 1
    return f"{zoom}/{max(0, min(last, int(x * 2**zoom)))}/{max(0, min(last, int(y * 2**zoom)))}"
