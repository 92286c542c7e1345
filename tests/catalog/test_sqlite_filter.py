"""What SQLite answers to a filter is what brute force says of each item: true, false, or unknown."""

import math
import sqlite3

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.document import read_document
from catalog.filter import Spatial
from catalog.filter_reader import MAX_DEPTH, read_filter
from catalog.filter_sql import compile_filter
from catalog.search import SortKey
from catalog.sqlite_filter import MAX_PLACES, SqliteDialect, arithmetic, glob, instant, register
from catalog.sqlite_write import column_value
from tests.catalog import strategies
from tests.catalog.documents import box, item
from tests.catalog.oracle import in_order
from tests.catalog.oracle_filter import evaluate, expression

COLUMNS = {"eo:cloud_cover": "p1", "any": "p2", "a.b[0]'$": "p3", "grid:code": "p4", "flag": "p5"}


class Table:
    """The two tables that a filter looks at, with or without columns for some of the properties."""

    def __init__(self, columns=()):
        self.connection = sqlite3.connect(":memory:")
        register(self.connection)
        self.columns = {name: COLUMNS[name] for name in columns}
        self.dialect = SqliteDialect(self.columns)
        own = "".join(f", {COLUMNS[name]}" for name in columns)
        self.connection.execute(
            f"""CREATE TABLE items (seq INTEGER PRIMARY KEY, id TEXT, collection TEXT, moment INTEGER, since INTEGER,
            until INTEGER, west REAL, south REAL, east REAL, north REAL, properties TEXT {own})"""
        )
        self.connection.execute("CREATE TABLE documents (seq INTEGER PRIMARY KEY, shape BLOB)")

    def fill(self, documents):
        self.connection.execute("DELETE FROM items")
        self.connection.execute("DELETE FROM documents")
        for seq, document in enumerate(documents):
            read = read_document(document)
            values = (seq, read.id, read.collection, read.moment, read.since, read.until, *(read.box or (None,) * 4))
            self.connection.execute(
                "INSERT INTO items (seq, id, collection, moment, since, until, west, south, east, north, properties)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (*values, read.properties_json.decode()),
            )
            for name, column in self.columns.items():
                value = column_value(read.properties().get(name))
                self.connection.execute(f"UPDATE items SET {column} = ? WHERE seq = ?", (value, seq))
            self.connection.execute("INSERT INTO documents VALUES (?, ?)", (seq, read.outline))

    def truths(self, given):
        """What the filter is of each item, in the order of filling."""
        sql = compile_filter(read_filter(given), self.dialect)
        # In brackets as a store's statement has them.
        rows = self.connection.execute(f"SELECT ({sql.text}), (({sql.text})) FROM items ORDER BY seq", sql.values * 2)
        return [None if truth is None else bool(truth) for truth, _ in rows]

    def order(self, key):
        value = self.dialect.sort_value(key.property)
        down = "DESC" if key.descending else "ASC"
        rows = self.connection.execute(
            f"SELECT id FROM items ORDER BY {value.text} {down} NULLS LAST, id {down}", value.values
        )
        return [name for (name,) in rows]


@pytest.fixture(scope="module", params=[(), tuple(COLUMNS)], ids=["by JSON", "by columns"])
def table(request):
    made = Table(request.param)
    yield made
    made.connection.close()


@pytest.mark.parametrize("kind", strategies.CLASSES)
@settings(max_examples=100)
@given(data=st.data())
def test_a_condition_is_what_brute_force_says(table, kind, data):
    known = data.draw(st.lists(strategies.known_items(), min_size=1, max_size=6))
    asked = data.draw(strategies.CLASSES[kind])
    table.fill([one.document for one in known])
    assert table.truths(asked) == [evaluate(read_filter(asked), one) for one in known]


@settings(max_examples=200)
@given(known=st.lists(strategies.known_items(), min_size=1, max_size=6), asked=strategies.filters)
def test_a_filter_is_what_brute_force_says(table, known, asked):
    table.fill([one.document for one in known])
    assert table.truths(asked) == [evaluate(read_filter(asked), one) for one in known]


@given(oracle=strategies.oracles(tenants={"a": None}), name=strategies.names, down=st.booleans())
def test_sorting_is_what_brute_force_says(table, oracle, name, down):
    known = list(oracle.items.values())
    table.fill([one.document for one in known])
    key = SortKey(name, down)
    assert table.order(key) == [one.name[1] for one in in_order(known, (key,))]


# --- by name ---


@pytest.fixture
def plain():
    made = Table()
    yield made
    made.connection.close()


@pytest.mark.parametrize(("value", "asked", "truth"), [
    (True, ["=", 1], None),
    (1, ["=", True], None),
    (1, ["=", 1.0], True),
    ("1", ["=", 1], None),
    (None, ["=", 1], None),
    ([1], ["=", 1], None),
    ("a", ["<>", 1], None),
    (2**53 + 1, ["=", 2**53], True),
    (0.30000000000000004, ["=", 0.3], False),
    ("A", ["=", "a"], False),
    ("é", ["=", "e\u0301"], False),
    ("Z", ["<", "a"], True),
    ("\U0001f6f0", [">", "\uffff"], True),
    ("100%", ["like", "100\\%"], True),
    ("1000", ["like", "100\\%"], False),
    ("a*b", ["like", "a*b"], True),
    ("aXb", ["like", "a*b"], False),
    ("[a]", ["like", "[a]"], True),
    ("a", ["like", "[a]"], False),
    ("ABC", ["like", "a%"], False),
    ("a\nb", ["like", "a_b"], True),
    ("\U0001f6f0", ["like", "_"], True),
    ("2026-01-01T01:00:00+01:00", ["=", {"timestamp": "2026-01-01T00:00:00Z"}], True),
    ("2026-01-01", ["=", {"date": "2026-01-01"}], None),
    ([True], ["a_contains", [1]], False),
    ([1, 1.0], ["a_equals", [1]], True),
    ([], ["a_containedBy", []], True),
    ([None], ["a_contains", []], None),
    ("abc", ["a_contains", ["a"]], None),
])  # fmt: skip
def test_types_by_name(plain, value, asked, truth):
    plain.fill([item(x=value)])
    assert plain.truths({"op": asked[0], "args": [{"property": "x"}, asked[1]]}) == [truth]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a.b", "a[0]", "[0]", "$", "#", "'", "", "é", 'x") OR ("1"="1'])
def test_names_are_bound_and_found_whatever_they_hold(plain, name):
    plain.fill([item(**{name: 1, "other": 2})])
    assert plain.truths({"op": "=", "args": [{"property": name}, 1]}) == [True]
    sql = compile_filter(read_filter({"op": "=", "args": [{"property": name}, "secret"]}), SqliteDialect({}))
    assert "secret" not in sql.text
    assert not name or name in "$'[0]#" or name not in sql.text


@pytest.mark.parametrize(("op", "left", "right", "result"), [
    ("%", -7.0, 3.0, -1.0),
    ("div", -7.0, 3.0, -2.0),
    ("%", 7.0, 0.0, None),
    ("div", 7.0, 0.0, None),
    ("/", 1.0, 0.0, None),
    ("/", 1.0, 3.0, 1 / 3),
    ("*", 1e300, 1e300, None),
    ("^", -8.0, 1 / 3, None),
    ("^", 0.0, -1.0, None),
    ("^", 10.0, 400.0, None),
    ("^", 2.0, 0.5, math.sqrt(2)),
    ("div", 1e300, 1e-300, None),
    ("+", 1.0, None, None),
])  # fmt: skip
def test_arithmetic_by_name(op, left, right, result):
    assert arithmetic(left, right, op) == result


def test_what_is_infinite_on_the_way_is_unknown(plain):
    """1 / (1e300 · 1e300) would be zero."""
    plain.fill([item(x=1e300)])
    square = {"op": "*", "args": [{"property": "x"}, {"property": "x"}]}
    assert plain.truths({"op": "=", "args": [{"op": "/", "args": [1, square]}, 0]}) == [None]


@given(text=strategies.words | st.text(max_size=5), pattern=strategies.patterns)
def test_patterns(plain_connection, text, pattern):
    (found,) = plain_connection.execute("SELECT ? GLOB ?", (text.replace("\x00", ""), glob(pattern))).fetchone()
    assert bool(found) == bool(expression(pattern).fullmatch(text.replace("\x00", "")))


@pytest.fixture(scope="module")
def plain_connection():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def test_a_pattern_of_wildcards_is_quick(plain):
    plain.fill([item(x="a" * 5000)])
    assert plain.truths({"op": "like", "args": [{"property": "x"}, "%a" * 15 + "%b"]}) == [False]


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z ", "now", "", "2026", None, "2026-01-01T00:00:00"])
def test_no_instants(text):
    assert instant(text) is None


LEAF = {"op": "=", "args": [{"property": 'q"'}, 1]}
VALUE = {"property": 'q"'}


def nested(grow, seed):
    for level in range(MAX_DEPTH - 1):
        seed = grow(seed, level)
    return seed


def and_or(inner, level):
    return {"op": ["and", "or"][level % 2], "args": [LEAF, inner]}


@pytest.mark.parametrize("asked", [
    nested(and_or, LEAF),
    nested(and_or, {"op": "s_within", "args": [{"property": "geometry"}, box(0, 0, 1, 1)]}),
    nested(lambda inner, _: {"op": "not", "args": [inner]}, LEAF),
    {"op": "=", "args": [1, nested(lambda inner, _: {"op": "+", "args": [1, inner]}, VALUE)]},
    {"op": "=", "args": [1, nested(lambda inner, _: {"op": "+", "args": [inner, 1]}, VALUE)]},
    {"op": "=", "args": ["a", nested(lambda inner, _: {"op": "casei", "args": [inner]}, VALUE)]},
], ids=["and-or", "a place", "not", "sums to the right", "sums to the left", "folds"])  # fmt: skip
def test_the_deepest_filter_does_not_overflow_the_parser(plain, asked):
    plain.fill([item()])
    assert len(plain.truths(asked)) == 1


def test_the_widest_filter(plain):
    plain.fill([item(x=5)])
    choices = [{"op": "=", "args": [{"property": "x"}, number]} for number in range(399)]
    assert plain.truths({"op": "or", "args": choices}) == [True]
    assert plain.truths({"op": "in", "args": [{"property": "x"}, list(range(10_000))]}) == [True]


# --- places ---


def spatial(op, place):
    return {"op": op, "args": [{"property": "geometry"}, place]}


def test_more_places_than_are_kept(plain):
    plain.fill([item(geometry={"type": "Point", "coordinates": [0, 0]})])
    for _ in range(2):
        for east in range(2 * MAX_PLACES):
            assert plain.truths(spatial("s_contains", box(-1, -1, east + 1, 1))) == [False]
            assert plain.truths(spatial("s_within", box(-1, -1, east + 1, 1))) == [True]


@pytest.mark.parametrize(("op", "truth"), [
    ("s_intersects", False), ("s_disjoint", True), ("s_within", None), ("s_contains", None), ("s_equals", None),
    ("s_touches", None), ("s_crosses", None), ("s_overlaps", None),
])  # fmt: skip
def test_a_collection_of_geometries_far_away(plain, op, truth):
    """It stays unknown where the boxes alone would say that it is false, so that its opposite is unknown too."""
    several = {"type": "GeometryCollection", "geometries": [box(0, 0, 1, 1), {"type": "Point", "coordinates": [2, 2]}]}
    plain.fill([item(geometry=several), {**item("nowhere"), "geometry": None}])
    place = box(50, 50, 51, 51)
    assert plain.truths(spatial(op, place)) == [truth, None]
    assert plain.truths({"op": "not", "args": [spatial(op, place)]}) == [None if truth is None else not truth, None]


def test_the_outline_is_looked_at_only_where_boxes_touch(plain):
    plain.fill([item(str(number), geometry={"type": "Point", "coordinates": [number, 0]}) for number in range(10)])
    compared = []
    plain.connection.create_function("spatial", 4, lambda *given: compared.append(given) or True)
    sql = SqliteDialect({}).spatial("s_intersects", shapely.box(2.5, -1, 4.5, 1))
    rows = plain.connection.execute(f"SELECT id FROM items WHERE {sql.text}", sql.values).fetchall()
    assert [name for (name,) in rows] == ["3", "4"]
    assert len(compared) == 2


def test_a_place_of_many_vertices(plain):
    circle = shapely.Point(0, 0).buffer(1, quad_segs=20_000)
    plain.fill(
        [item(str(number), geometry={"type": "Point", "coordinates": [number / 500, 0]}) for number in range(999)]
    )
    sql = compile_filter(Spatial("s_within", circle), SqliteDialect({}))
    rows = plain.connection.execute(f"SELECT count(*) FROM items WHERE {sql.text}", sql.values)
    assert rows.fetchone() == (500,)


def test_what_every_item_has_is_not_hidden_by_a_property(plain):
    plain.fill([{**item("one"), "properties": {"datetime": "2026-01-01T00:00:00Z", "id": "two", "collection": 5}}])
    assert plain.truths({"op": "=", "args": [{"property": "id"}, "one"]}) == [True]
    assert plain.truths({"op": "=", "args": [{"property": "properties.collection"}, "scenes"]}) == [True]
