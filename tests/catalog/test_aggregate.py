"""Figures against their definitions, written down a second time in the plainest way."""

import math
import random
from collections import Counter
from datetime import UTC, datetime

import morecantile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import aggregate
from catalog.aggregate import LAT, LON, aggregation, columns, fold, geohash, geotile
from catalog.errors import InvalidSearchError

# To a tenth of a millimetre: what is nearer to a border, a double rounds to the other side.
lons = st.integers(-180 * 10**9, 180 * 10**9).map(lambda one: one / 1e9) | st.sampled_from([-180.0, -90.0, 0.0, 180.0])
lats = st.integers(-90 * 10**9, 90 * 10**9).map(lambda one: one / 1e9) | st.sampled_from([-90.0, -85.06, 0.0, 90.0])


def geohash_by_halving(lon, lat, precision):
    """Niemeyer's rule as he tells it: halve the longitudes, then the latitudes, and so on; 1 is the upper half."""
    bounds = [[-180.0, 180.0], [-90.0, 90.0]]
    code, bits = "", []
    while len(code) < precision:
        axis = len(bits) % 2
        bounds_of, value = bounds[axis], (lon, lat)[axis]
        middle = sum(bounds_of) / 2
        bits.append(value >= middle)
        bounds_of[0 if value >= middle else 1] = middle
        if len(bits) % 5 == 0:
            code += "0123456789bcdefghjkmnpqrstuvwxyz"[sum(bit << (4 - place) for place, bit in enumerate(bits[-5:]))]
    return code


@given(lons, lats, st.integers(1, 12))
def test_geohash(lon, lat, precision):
    assert geohash(lon, lat, precision) == geohash_by_halving(lon, lat, precision)


def test_geohash_as_others_print_it():
    assert geohash(-5.6, 42.6, 5) == "ezs42"  # the example of its article in the encyclopedia
    assert geohash(10.40744, 57.64911, 11) == "u4pruydqqvj"


MERCATOR = morecantile.tms.get("WebMercatorQuad")


@given(lons, lats.filter(lambda lat: abs(lat) < 85.05), st.integers(0, 18))
def test_geotile(lon, lat, zoom):
    zoom_said, x, y = map(int, geotile(lon, lat, zoom).split("/"))
    assert zoom_said == zoom
    bounds = MERCATOR.bounds(x, y, zoom)
    slack = 1e-9
    assert bounds.left - slack <= lon <= bounds.right + slack
    assert bounds.bottom - slack <= lat <= bounds.top + slack


@given(lons, lats, st.integers(0, 29))
def test_every_place_has_a_tile(lon, lat, zoom):
    _, x, y = map(int, geotile(lon, lat, zoom).split("/"))
    assert 0 <= x < 2**zoom
    assert 0 <= y < 2**zoom


def microseconds(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)


moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
rows = st.lists(
    st.tuples(
        moments,
        st.sampled_from(["a", "b"]),
        st.none() | st.tuples(lons, lats),
        st.none() | st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6) | st.sampled_from(["x", "hr-1"]),
    ),
    max_size=30,
)


@given(rows, st.sampled_from(["year", "month", "day", "hour"]), st.floats(0.01, 1000))
def test_figures_are_what_one_counts(found, interval, width):
    wanted = [
        aggregation("total_count"), aggregation("datetime_min"), aggregation("datetime_max"),
        aggregation("collection_frequency"), aggregation("datetime_frequency", interval),
        aggregation("histogram:gsd", repr(width)), aggregation("terms:gsd"),
        aggregation("grid_geohash_frequency", "2"), aggregation("grid_geotile_frequency", "4"),
    ]  # fmt: skip
    held = {
        "datetime": lambda row: microseconds(row[0]), "collection": lambda row: row[1],
        LON: lambda row: row[2] and row[2][0], LAT: lambda row: row[2] and row[2][1], "gsd": lambda row: row[3],
    }  # fmt: skip
    names = columns(wanted)
    assert sorted(names) == sorted(held)
    figures = {one.name: one for one in fold(wanted, [tuple(held[name](row) for name in names) for row in found])}
    counted = {name: {bucket.key: bucket.frequency for bucket in one.buckets}
               for name, one in figures.items() if one.buckets is not None}  # fmt: skip

    assert figures["total_count"].value == len(found)
    times = sorted(row[0] for row in found)
    for name, moment in (("datetime_min", times[:1]), ("datetime_max", times[-1:])):
        said = figures[name].value
        assert [said and datetime.fromisoformat(said)] == (moment or [None])
    assert counted["collection_frequency"] == Counter(row[1] for row in found)
    first = {"year": {"month": 1, "day": 1, "hour": 0}, "month": {"day": 1, "hour": 0}, "day": {"hour": 0}, "hour": {}}
    begins = [row[0].replace(minute=0, second=0, microsecond=0, **first[interval]) for row in found]
    assert counted["datetime_frequency"] == Counter(one.strftime("%Y-%m-%dT%H:00:00Z") for one in begins)
    numbers = [row[3] for row in found if isinstance(row[3], float)]
    buckets = figures["histogram:gsd"].buckets
    assert sum(one.frequency for one in buckets) == len(numbers)
    assert [one.start for one in buckets] == sorted(one.start for one in buckets)
    for bucket in buckets:
        near = [number for number in numbers if bucket.start - 1e-6 <= number < bucket.end + 1e-6]
        assert 1 <= bucket.frequency <= len(near)
        assert math.isclose(bucket.end - bucket.start, width, rel_tol=1e-6)
    assert sum(counted["terms:gsd"].values()) == sum(row[3] is not None for row in found)
    assert counted["terms:gsd"].get("hr-1", 0) == sum(row[3] == "hr-1" for row in found)
    assert counted["terms:gsd"].get("2", 0) == sum(row[3] == 2.0 for row in found)
    places = [row[2] for row in found if row[2] is not None]
    assert counted["grid_geohash_frequency"] == Counter(geohash_by_halving(*place, 2) for place in places)
    assert sum(counted["grid_geotile_frequency"].values()) == len(places)


def test_buckets_are_bounded(monkeypatch):
    monkeypatch.setattr(aggregate, "MAX_BUCKETS", 10)
    values = [(f"{number % 25}",) for number in range(100)]
    (terms,) = fold([aggregation("terms:title")], values)
    assert len(terms.buckets) == 10
    assert terms.overflow == 60
    assert sum(one.frequency for one in terms.buckets) + terms.overflow == 100


def test_the_most_frequent_come_first():
    values = [("a",)] * 2 + [("b",)] * 5 + [("c",)] * 2
    random.Random(1).shuffle(values)
    (terms,) = fold([aggregation("terms:title")], values)
    assert [one.key for one in terms.buckets] == ["b", "a", "c"]


@pytest.mark.parametrize(("name", "step"), [
    ("nothing", None), ("terms:", None), ("histogram", None), ("sum:gsd", None), ("total_count", "1"),
    ("datetime_frequency", "week"), ("histogram:gsd", "0"), ("histogram:gsd", "-1"), ("histogram:gsd", "nan"),
    ("histogram:gsd", "inf"), ("histogram:gsd", "wide"), ("grid_geohash_frequency", "0"),
    ("grid_geohash_frequency", "13"), ("grid_geohash_frequency", "2.5"), ("grid_geotile_frequency", "30"),
    ("grid_geotile_frequency", "-1"),
])  # fmt: skip
def test_what_is_no_figure_is_refused(name, step):
    with pytest.raises(InvalidSearchError, match=name):
        aggregation(name, step)


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324])
def test_no_number_is_too_large_for_a_histogram(value):
    (histogram,) = fold([aggregation("histogram:gsd", "1e-300")], [(value,), (1.0,)])
    assert sum(one.frequency for one in histogram.buckets) + histogram.overflow <= 2
