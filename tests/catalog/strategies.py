"""Hypothesis strategies: items of every kind, filters of every class of CQL2, searches with every condition."""

import string

from hypothesis import strategies as st

from catalog.extent import BBox, TimeWindow, parse_time
from catalog.filter import ARITHMETIC, ARRAYS, COMPARISONS, SPATIAL_CONVERSES, TEMPORAL
from catalog.filter_reader import read_filter
from catalog.search import NEWEST_FIRST, Search, SortKey
from tests.catalog.documents import SIMPLE, drawn, item, latitudes, longitudes, nearby, seams
from tests.catalog.known import Known
from tests.catalog.oracle import Oracle

# --- values ---

# Few of each, so that they meet; among them what databases round, fold or take for something else.
numbers = st.sampled_from(
    [0, 1, 1.0, -1, 2.5, 0.1, 0.30000000000000004, 50, -0.0, 1e300, 5e-324, 2**53, 2**53 + 1, 2**63]
)
words = st.sampled_from([
    "", "a", "A", "b", "ß", "SS", "ss", "İ", "i̇", "I", "ı", "ς", "σ", "Σ", "é", "e\u0301", "É", "e", "ﬁ", "fi", "ö",
    "Ω", "\U0001f6f0", "true", "1", "null", "a_b", "a%b", "aXb", "a*b", "a?b", "[a]", "a\\b", "a'b", 'a"b', "a\nb",
    " a", "a ", "日本", "z" * 300,
])  # fmt: skip
instants = st.sampled_from([
    "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2025-12-31T19:00:00-05:00", "2026-01-01T00:00:00.000001Z",
    "2026-01-01t00:00:00.123456789z", "2026-01-02T00:00:00.5Z", "2026-01-02 00:00:00Z", "2026-01-02T00:00:00+05:45",
    "2026-01-03T23:59:60Z", "2026-01-04T00:00:00Z", "2026-01-05T12:00:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
])  # fmt: skip
almost_instants = st.sampled_from([
    "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+24:00",
    " 2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "2026-01-01T00:00Z",
    "20260101T000000Z", "2026-01-01T00:00:00.Z", "２026-01-01T00:00:00Z", "2026-01-01T00:00:00Z\n",
    "infinity", "now", "-infinity", "2026-01-01T00:00:00+01:75",
])  # fmt: skip
texts = words | instants | almost_instants
scalars = numbers | texts | st.booleans()
arrays = st.lists(numbers | words | st.booleans(), max_size=4)
odd_arrays = st.lists(scalars | st.none() | st.just([1]) | st.just({"a": 1}), max_size=3)
values = scalars | st.none() | arrays | odd_arrays | st.just({"a": 1})

USUAL = {
    "n": numbers,
    "gsd": numbers,
    "platform": words,
    "t": texts,
    "created": instants,
    "tags": arrays,
    "flag": st.booleans(),
}
UNUSUAL = {
    "m": numbers | st.none(),
    "eo:cloud_cover": numbers | values,
    "grid:code": texts | values,
    "more": arrays | values,
    "updated": instants | almost_instants | values,
    "any": values,
    "title": words,
    "description": st.lists(words, max_size=4).map(" ".join),
    "keywords": st.lists(words, max_size=3) | values,
    'odd "name\\': values,
    "a.b[0]'$": values,
}
PROPERTIES = USUAL | UNUSUAL
"""Names that a database may have a column for, or has to quote; each with what an item may have under it."""

names = st.sampled_from(sorted(PROPERTIES))


@st.composite
def times(draw):
    """How an item says when it was."""
    moment, start, end = draw(instants), draw(instants), draw(instants)
    start, end = sorted((start, end), key=parse_time)
    span = {"start_datetime": start, "end_datetime": end}
    return draw(
        st.sampled_from([
            {"datetime": moment},
            {"datetime": moment, "start_datetime": start},
            {"datetime": None, **span},
            {"datetime": moment, **span},
        ])
    )  # fmt: skip


@st.composite
def known_items(draw, *, collections=("a", "b"), ids=tuple("abcdef")):
    """An item, and its shape as it was drawn."""
    held = draw(st.fixed_dictionaries(USUAL, optional=UNUSUAL) | st.fixed_dictionaries({}, optional=PROPERTIES))
    properties = draw(times()) | held
    document = item(draw(st.sampled_from(ids)), collection=draw(st.sampled_from(collections)))
    document |= {"properties": properties, "geometry": None}
    shape = draw(st.none() | drawn(places=nearby) | drawn(places=nearby) | drawn())
    if shape is None:
        del document["bbox"]
    else:
        document["geometry"] = shape.geojson(draw(st.sampled_from(["beyond", "back"])))
        document["bbox"] = [-180, -90, 180, 90]
    return Known(document, shape)


@st.composite
def oracles(draw, *, tenants, min_size=0, max_size=12):
    """Items in collections of some tenants."""
    oracle = Oracle(tenants=dict(tenants))
    ids = draw(st.sampled_from(["abcdef", string.ascii_letters]))
    items = known_items(collections=tuple(tenants), ids=tuple(ids))
    for known in draw(st.lists(items, min_size=min_size, max_size=max_size, unique_by=lambda known: known.name)):
        oracle.put(known)
    return oracle


# --- filters, as CQL2 JSON ---


def op(name, *args):
    return {"op": name, "args": list(args)}


def operations(ops, *args):
    return st.tuples(st.sampled_from(sorted(ops)), *args).map(lambda made: op(*made))


def one_of(*names):
    """One of these properties, and now and then any other."""
    return (st.sampled_from(names) | st.sampled_from([*names, *PROPERTIES])).map(lambda name: {"property": name})


properties = names.map(lambda name: {"property": name})
prefixed = names.map(lambda name: {"property": f"properties.{name}"})
core_times = st.sampled_from(["datetime", "start_datetime", "end_datetime"]).map(lambda name: {"property": name})
core_texts = st.sampled_from(["id", "collection"]).map(lambda name: {"property": name})
figures = one_of("n", "gsd", "m", "eo:cloud_cover")
writings = one_of("platform", "t", "title", "id", "collection")

number_values = st.recursive(numbers | figures, lambda inner: operations(ARITHMETIC, inner, inner), max_leaves=4)
text_values = st.recursive(texts | writings, lambda inner: operations(["casei", "accenti"], inner), max_leaves=3)
timestamps = instants.map(lambda text: {"timestamp": text})
dates = st.sampled_from(["2025-12-31", "2026-01-01", "2026-01-02", "2026-01-03"]).map(lambda text: {"date": text})
instant_values = timestamps | dates | core_times | one_of("created", "updated")

pieces = st.sampled_from([
    "%", "_", "a", "b", "A", "\\%", "\\_", "\\\\", "\\a", "*", "?", "[", "]", "^", "é", "日", "\n", ".",
])  # fmt: skip
patterns = st.lists(pieces, max_size=5).map("".join)

comparisons = (
    operations(COMPARISONS, figures, number_values)
    | operations(COMPARISONS, number_values, number_values)
    | operations(COMPARISONS, writings, text_values)
    | operations(COMPARISONS, text_values, text_values)
    | operations(COMPARISONS, instant_values, instant_values)
    | operations(["=", "<>"], one_of("flag") | st.booleans(), st.booleans())
    | operations(COMPARISONS, properties, properties | prefixed | core_texts | core_times)
)
betweens = operations(["between"], figures, number_values, number_values) | operations(
    ["between"], instant_values, instant_values, instant_values
)
memberships = (
    operations(["in"], number_values, st.lists(numbers, min_size=1, max_size=6))
    | operations(["in"], text_values, st.lists(texts, min_size=1, max_size=9))
    | operations(["in"], instant_values, st.lists(timestamps | dates, min_size=1, max_size=4))
    | operations(["in"], properties, st.lists(numbers | words | st.booleans(), min_size=1, max_size=9))
)
likes = operations(["like"], text_values, patterns)
nulls = operations(["isNull"], properties | core_times | number_values | st.just({"property": "geometry"}))
truths = st.booleans() | one_of("flag")


def place(kinds):
    shapes = drawn(kinds=kinds, places=nearby) | drawn(kinds=kinds)
    return shapes.map(lambda shape: shape.geojson("back")) | boxes().map(lambda box: {"bbox": list(box.as_tuple())})


@st.composite
def boxes(draw):
    """A box as a client writes it; narrow or flat ones, and some across the antimeridian."""
    west, south = draw(longitudes | seams), draw(latitudes | st.sampled_from([-90.0, 0.0, 1.0, 88.0]))
    width, height = draw(st.sampled_from([0, 0.25, 1, 5, 40, 200])), draw(st.sampled_from([0, 0.25, 1, 10, 80]))
    east = west + width
    return BBox.of([west, south, east if east <= 180 else east - 360, min(90.0, south + height)])


geometry = st.just({"property": "geometry"})
GLOBE = {"s_intersects", "s_disjoint"}
spatials = (
    operations(GLOBE, geometry, place((*SIMPLE, "GeometryCollection")))
    | operations(SPATIAL_CONVERSES, geometry, place(SIMPLE))
    | operations(SPATIAL_CONVERSES, place(SIMPLE), geometry)
)

MOMENTS = ["2025-12-31", "2026-01-01", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00.5Z", "2026-01-04"]
moments = st.sampled_from(MOMENTS)


@st.composite
def intervals(draw):
    """With open ends, properties for ends, days for ends."""
    ends = sorted(draw(st.tuples(moments, moments)), key=MOMENTS.index)
    since = draw(st.sampled_from([ends[0], "..", {"property": "start_datetime"}, {"property": "created"}]))
    until = draw(st.sampled_from([ends[1], "..", {"property": "end_datetime"}, {"property": "updated"}]))
    return {"interval": [since, until]}


spans = instant_values | intervals()
temporals = operations(TEMPORAL, spans, spans)
literal_arrays = st.lists(numbers | words | st.booleans(), max_size=3)
array_relations = operations(ARRAYS, one_of("tags", "more"), one_of("tags", "keywords") | literal_arrays) | operations(
    ARRAYS, literal_arrays, one_of("tags")
)

CLASSES = {
    "comparison": comparisons,
    "between": betweens,
    "in": memberships,
    "like": likes,
    "isNull": nulls,
    "truth": truths,
    "spatial": spatials,
    "temporal": temporals,
    "array": array_relations,
}
"""Every standard class of CQL2; arithmetic, casei, accenti and property–property are in the comparisons."""


def logic(conditions):
    return st.recursive(
        conditions,
        lambda inner: (
            operations(["not"], inner)
            | st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)).map(
                lambda made: op(made[0], *made[1])
            )
        ),
        max_leaves=4,
    )


filters = logic(st.one_of(*CLASSES.values()))

# --- searches ---

windows = st.tuples(instants, instants, st.sampled_from(["a/b", "a", "a/..", "../b"])).map(
    lambda made: TimeWindow.parse(
        made[2]
        .replace("a", min(made[:2], key=parse_time))
        .replace("b", max(made[:2], key=parse_time))
        .replace(" ", "T")
    )
)
orders = st.lists(
    st.tuples(
        names | st.sampled_from(["id", "collection", "datetime", "start_datetime", "end_datetime"]), st.booleans()
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one[0],
).map(lambda keys: tuple(SortKey(name, down) for name, down in keys))
terms = st.lists(st.lists(words, min_size=1, max_size=2).map(" ".join), max_size=2).map(tuple)


def or_none(strategy):
    """Seldom: conditions that must all hold leave little to find."""
    return st.sampled_from([False, False, False, True]).flatmap(lambda asked: strategy if asked else st.none())


@st.composite
def searches(draw, *, collections=("a", "b", "nowhere")):
    """Each of the conditions now and then, a filter more often than not, and any order."""
    where = draw(st.sampled_from(["", "", "", "", "bbox", "intersects"]))
    asked = draw(st.none() | filters | filters)
    return Search(
        collections=draw(or_none(st.lists(st.sampled_from(collections), max_size=3).map(tuple))),
        ids=draw(or_none(st.lists(st.sampled_from([*"abcdef", "none", "\ud800"]), max_size=4).map(tuple))),
        bbox=draw(boxes()) if where == "bbox" else None,
        intersects=draw(drawn(places=nearby) | drawn()).geojson("back") if where == "intersects" else None,
        datetime=draw(or_none(windows)),
        filter=None if asked is None else read_filter(asked),
        text=draw(or_none(terms)),
        sortby=draw(st.just(NEWEST_FIRST) | orders),
        limit=draw(st.integers(1, 5)),
        count=draw(st.booleans()),
    )
