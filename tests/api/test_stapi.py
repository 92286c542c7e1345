"""STAPI 0.1.0 over real HTTP: what its text demands, and that nothing a client sends is our fault."""

import copy
import json
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.settings import Settings
from catalog.extent import format_time

PRODUCT = "/stapi/products/sandbox-multispectral"
PREFIX = "https://stapi.example.com/v0.1.0/"
SQUARE = {"type": "Polygon", "coordinates": [[[5.24, 44.15], [5.31, 44.15], [5.31, 44.2], [5.24, 44.2], [5.24, 44.15]]]}


def days(start, end):
    now = datetime.now(UTC).replace(microsecond=0)
    return f"{format_time(now + timedelta(days=start))}/{format_time(now + timedelta(days=end))}"


def body(**changes):
    return {"datetime": days(0, 5), "geometry": SQUARE, "order_parameters": {}} | changes


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    data = tmp_path_factory.mktemp("stapi")
    return serving_all(create_app(Settings(data=data, embedded_worker=False)))


def links_of(document):
    return {link["rel"]: link for link in document["links"]}


def test_landing_page(client):
    landing = client.get("/stapi").json()
    assert {"id", "conformsTo", "title", "description", "links"} <= landing.keys()
    assert {PREFIX + "core", PREFIX + "order-statuses"} <= set(landing["conformsTo"])
    assert client.get("/stapi/conformance").json()["conformsTo"] == landing["conformsTo"]
    assert {"conformance", "products", "orders", "create-order", "service-desc", "service-doc"} <= links_of(
        landing
    ).keys()
    assert client.get("/stapi/").json() == landing


def test_asynchronous_searches_are_not_declared_as_they_do_not_exist(client):
    declared = json.dumps([client.get("/stapi").json(), client.get("/stapi/products").json()])
    assert "searches-opportunity" not in declared
    assert "async" not in declared


def test_every_link_to_get_leads_somewhere(client):
    seen, todo = set(), [str(client.base_url.join("/stapi"))]
    while todo:
        address = todo.pop()
        if address in seen:
            continue
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code == 200, address
        if "/stapi" in address and "json" in answer.headers["content-type"]:
            found = answer.json()
            for document in (found, *found.get("products", []), *found.get("features", [])):
                links = document.get("links", [])
                todo += [link["href"] for link in links if link.get("method", "GET") == "GET"]
    assert len(seen) > 12


def test_products(client):
    products = client.get("/stapi/products").json()["products"]
    assert {product["id"] for product in products} >= {"sandbox-multispectral", "inbox"}
    for product in products:
        assert (product["type"], product["stapi_type"], product["stapi_version"]) == ("Collection", "Product", "0.1.0")
        assert product["description"]
        assert product["license"]
        links = links_of(product)
        assert {"conformance", "queryables", "order-parameters", "create-order"} <= links.keys()
        assert client.get(links["self"]["href"]).json() == product
        assert client.get(links["conformance"]["href"]).json()["conformsTo"] == product["conformsTo"]
        assert any(uri.startswith("https://geojson.org/schema/") for uri in product["conformsTo"])
        assert ("opportunities" in links) == (PREFIX + "opportunities" in product["conformsTo"])


def test_schemas_are_never_empty_and_are_draft_07(client):
    for product in client.get("/stapi/products").json()["products"]:
        for rel in ("queryables", "order-parameters"):
            answer = client.get(links_of(product)[rel]["href"])
            assert answer.headers["content-type"] == "application/schema+json"
            schema = answer.json()
            assert schema["type"] == "object"
            assert "draft-07" in schema["$schema"]
            jsonschema.Draft7Validator.check_schema(schema)


def test_products_are_paged(client):
    first = client.get("/stapi/products?limit=1").json()
    second = client.get(links_of(first)["next"]["href"]).json()
    ids = [page["products"][0]["id"] for page in (first, second)]
    assert ids == sorted(product["id"] for product in client.get("/stapi/products").json()["products"])
    assert "next" not in links_of(second)


def test_an_order_in_both_readings(client, shared):
    sent = body(filter={"op": "<=", "args": [{"property": "view:off_nadir"}, 20]})
    answer = client.post(f"{PRODUCT}/orders", json=sent | {"order_parameters": {"max_cloud_cover": 30}})
    assert answer.status_code == 201
    order = answer.json()
    assert client.get(answer.headers["location"]).json() == order
    assert (order["type"], order["stapi_type"], order["stapi_version"]) == ("Feature", "Order", "0.1.0")
    for reading in (order, order["properties"]):
        assert {"product_id", "created", "status", "user", "request"} <= reading.keys()
        assert reading["status"]["status_code"] == "received"
        assert {"timestamp", "links"} <= reading["status"].keys()
    assert order["request"] == sent | {"order_parameters": {"max_cloud_cover": 30}}
    assert order["properties"]["search_parameters"] == {key: sent[key] for key in ("datetime", "geometry", "filter")}
    assert order["properties"]["order_parameters"] == {"max_cloud_cover": 30}
    assert order["geometry"] == SQUARE
    assert order["bbox"] == [5.24, 44.15, 5.31, 44.2]
    feature = json.loads((shared / "schemas/geojson.org/schema/Feature.json").read_text())
    jsonschema.validate(order, feature)
    statuses = client.get(links_of(order)["monitor"]["href"]).json()
    assert statuses["statuses"] == [order["status"]]


def test_members_that_stapi_does_not_name_are_left_alone_but_parameters_are_not(client):
    assert client.post(f"{PRODUCT}/orders", json=body(priority="high", limit=3)).status_code == 201
    answer = client.post(f"{PRODUCT}/orders", json=body(order_parameters={"priority": "high"}))
    assert answer.status_code == 400
    assert "priority" in answer.json()["detail"]


def test_order_parameters_may_be_absent(client):
    sent = body()
    del sent["order_parameters"]
    assert client.post(f"{PRODUCT}/orders", json=sent).json()["request"]["order_parameters"] == {}


@pytest.mark.parametrize("interval", ["{a}/..", "{a}/", "../{b}", "/{b}"])
def test_one_end_may_be_open(client, interval):
    a, b = days(1, 3).split("/")
    answer = client.post(f"{PRODUCT}/orders", json=body(datetime=interval.format(a=a, b=b)))
    assert answer.status_code == 201


def test_orders_are_listed_newest_first_and_paged_without_gap(client):
    made = [client.post(f"{PRODUCT}/orders", json=body()).json()["id"] for _ in range(5)]
    found, address = [], "/stapi/orders?limit=2"
    while address:
        page = client.get(address).json()
        assert (page["type"], page["stapi_type"]) == ("FeatureCollection", "OrderCollection")
        assert page["orders"] == page["features"]
        found += [order["id"] for order in page["orders"]]
        address = links_of(page).get("next", {}).get("href")
    assert found[:5] == made[::-1]
    assert len(found) == len(set(found))


def test_an_order_sent_again_with_its_key_is_the_same_order(client):
    before = len(client.get("/stapi/orders?limit=1000").json()["orders"])
    key, sent = {"idempotency-key": "once"}, body()
    first = client.post(f"{PRODUCT}/orders", json=sent, headers=key)
    again = client.post(f"{PRODUCT}/orders", json=sent, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["location"] == again.headers["location"]
    assert first.json() == again.json()
    other = client.post(f"{PRODUCT}/orders", json=sent | {"order_parameters": {"max_cloud_cover": 1}}, headers=key)
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["type"] == "urn:overflight:problem:idempotency"
    assert client.post(f"{PRODUCT}/orders", json=sent, headers={"idempotency-key": "two words"}).status_code == 422
    assert len(client.get("/stapi/orders?limit=1000").json()["orders"]) == before + 1


def test_an_order_is_called_off_once(client):
    order = client.post(f"{PRODUCT}/orders", json=body()).json()
    link = links_of(order)["cancel"]
    assert link["method"] == "POST"
    answer = client.post(link["href"])
    assert (answer.status_code, answer.json()["status"]["status_code"]) == (200, "user_cancelled")
    assert "cancel" not in links_of(answer.json())
    history = client.get(links_of(order)["monitor"]["href"]).json()["statuses"]
    assert [status["status_code"] for status in history] == ["user_cancelled", "received"]
    again = client.post(link["href"])
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"


def test_a_history_is_paged(client):
    order = client.post(f"{PRODUCT}/orders", json=body()).json()
    client.post(links_of(order)["cancel"]["href"])
    first = client.get(links_of(order)["monitor"]["href"] + "?limit=1").json()
    second = client.get(links_of(first)["next"]["href"]).json()
    assert [page["statuses"][0]["status_code"] for page in (first, second)] == ["user_cancelled", "received"]
    assert "next" not in links_of(second)


def test_opportunities(client):
    answer = client.post(f"{PRODUCT}/opportunities", json=body(), headers={"prefer": "respond-async"})
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait"
    found = answer.json()
    assert found["type"] == "FeatureCollection"
    assert len(found["features"]) > 3
    queryables = client.get(f"{PRODUCT}/queryables").json()["properties"]
    for one in found["features"]:
        assert (one["type"], one["stapi_type"], one["stapi_version"]) == ("Feature", "Opportunity", "0.1.0")
        assert one["bbox"]
        assert one["properties"]["product_id"] == "sandbox-multispectral"
        start, end = one["properties"]["datetime"].split("/")
        assert start <= one["properties"]["overflight:best"] <= end
        assert queryables.keys() <= one["properties"].keys()
    best = [one["properties"]["overflight:best"] for one in found["features"]]
    assert best == sorted(best)


def test_feasibility(client):
    sure = client.post(f"{PRODUCT}/feasibility", json=body()).json()
    assert sure["chance"] == 1.0
    assert sure["reasons"] == []
    start, end = sure["datetime"].split("/")
    assert start <= sure["expected"] <= end
    clear = client.post(f"{PRODUCT}/feasibility", json=body(order_parameters={"max_cloud_cover": 0})).json()
    assert 0 < clear["chance"] < 1
    assert clear["passes"] == sure["passes"]
    steep = body(filter={"op": "<=", "args": [{"property": "view:off_nadir"}, 0.0]})
    none = client.post(f"{PRODUCT}/feasibility", json=steep).json()
    assert (none["chance"], none["expected"], none["passes"]) == (0.0, None, 0)
    assert none["reasons"][0].startswith("No pass meets the conditions before")
    assert any("the filter leaves them out" in one for one in none["reasons"])
    assert any("the sun is lower" in one for one in none["reasons"]) or len(none["reasons"]) == 2
    assert client.post(f"{PRODUCT}/feasibility", json=body(datetime=days(-9, -5))).status_code == 422
    assert client.post("/stapi/products/inbox/feasibility", json=body()).status_code == 422


def test_opportunities_meet_the_filter(client):
    whole = client.post(f"{PRODUCT}/opportunities", json=body()).json()["features"]
    angles = sorted(one["properties"]["view:off_nadir"] for one in whole)
    limit = (angles[len(angles) // 2] + angles[len(angles) // 2 - 1]) / 2
    filter_ = {"op": "<=", "args": [{"property": "view:off_nadir"}, limit]}
    found = client.post(f"{PRODUCT}/opportunities", json=body(filter=filter_)).json()["features"]
    wanted = [one["id"] for one in whole if one["properties"]["view:off_nadir"] <= limit]
    assert [one["id"] for one in found] == wanted


def test_opportunities_are_paged_through_the_body(client):
    sent = body() | {"datetime": days(1, 6)}
    whole = client.post(f"{PRODUCT}/opportunities", json=sent).json()["features"]
    found, address, again = [], f"{PRODUCT}/opportunities", sent | {"limit": 2}
    while address:
        page = client.post(address, json=again).json()
        assert len(page["features"]) <= 2
        found += page["features"]
        link = links_of(page).get("next")
        address, again = (link["href"], link["body"]) if link else (None, None)
    assert [one["id"] for one in found] == [one["id"] for one in whole]


def test_an_opportunity_is_ordered_with_its_link_as_it_is(client):
    found = client.post(f"{PRODUCT}/opportunities", json=body()).json()
    for document in (found, found["features"][0]):
        link = links_of(document)["create-order"]
        assert link["method"] == "POST"
        answer = client.post(link["href"], json=link["body"])
        assert answer.status_code == 201
        assert answer.json()["request"]["datetime"] == link["body"]["datetime"]


def test_a_time_that_is_over_has_no_opportunities(client):
    found = client.post(f"{PRODUCT}/opportunities", json=body(datetime=days(-9, -5)))
    assert (found.status_code, found.json()["features"]) == (200, [])


FIJI = [[179.95, -17.0], [-179.95, -17.0], [-179.95, -16.9], [179.95, -16.9], [179.95, -17.0]]
CAP = [[0, 89.9], [90, 89.9], [180, 89.9], [-90, 89.9], [0, 89.9]]


@pytest.mark.parametrize(
    ("ring", "bbox"),
    [(FIJI, [179.95, -17.0, -179.95, -16.9]), (CAP, [-180.0, 89.9, 180.0, 90.0])],
    ids=["±180", "pole"],
)
def test_areas_over_the_antimeridian_and_at_a_pole_are_right(client, ring, bbox):
    answer = client.post(f"{PRODUCT}/orders", json=body(geometry={"type": "Polygon", "coordinates": [ring]}))
    assert answer.status_code == 201, answer.text
    assert answer.json()["bbox"] == pytest.approx(bbox)


def polygon(*ring):
    return {"type": "Polygon", "coordinates": [[list(position) for position in ring]]}


BAD_ORDERS = {
    "a point": (body(geometry={"type": "Point", "coordinates": [5, 44]}), 400),
    "no geometry": ({"datetime": days(0, 2), "order_parameters": {}}, 400),
    "geometry null": (body(geometry=None), 400),
    "a geometry collection": (body(geometry={"type": "GeometryCollection", "geometries": []}), 400),
    "empty": (body(geometry={"type": "Polygon", "coordinates": []}), 400),
    "an open ring": (body(geometry=polygon((0, 0), (1, 0), (1, 1), (0, 1))), 400),
    "self-crossing": (body(geometry=polygon((0, 0), (0.1, 0.1), (0.1, 0), (0, 0.1), (0, 0))), 400),
    "without area": (body(geometry=polygon((0, 0), (0.1, 0), (0.2, 0), (0, 0))), 400),
    "lat, lon": (body(geometry=polygon((44, 105), (45, 105), (45, 106), (44, 105))), 400),
    "strings": (body(geometry=polygon(("a", "b"), (1, 0), (1, 1), ("a", "b"))), 400),
    "too large": (body(geometry=polygon((0, 0), (9, 0), (9, 9), (0, 9), (0, 0))), 422),
    "too small": (body(geometry=polygon((0, 0), (1e-5, 0), (1e-5, 1e-5), (0, 0))), 422),
    "naive times": (body(datetime="2099-01-01T00:00:00/2099-01-02T00:00:00"), 400),
    "reversed times": (body(datetime="/".join(days(1, 2).split("/")[::-1])), 400),
    "a moment": (body(datetime=days(1, 2).split("/")[0]), 400),
    "open at both ends": (body(datetime="../.."), 400),
    "no time": (body(datetime="soon/later"), 400),
    "a time that is a number": (body(datetime=7), 400),
    "the past": (body(datetime=days(-3, -2)), 422),
    "too long": (body(datetime=days(0, 900)), 422),
    "cloud above 100": (body(order_parameters={"max_cloud_cover": 101}), 400),
    "cloud a string": (body(order_parameters={"max_cloud_cover": "30"}), 400),
    "cloud a truth": (body(order_parameters={"max_cloud_cover": True}), 400),
    "parameters a list": (body(order_parameters=[]), 400),
    "an unknown property": (body(filter={"op": "=", "args": [{"property": "colour"}, 1]}), 422),
    "an unknown operator": (body(filter={"op": "nearly", "args": [{"property": "gsd"}, 1]}), 422),
    "no CQL2": (body(filter={"gsd": 1}), 422),
    "a filter as text": (body(filter="gsd < 3"), 400),
    "a deep filter": (body(filter=json.loads('{"op":"not","args":[' * 40 + "true" + "]}" * 40)), (201, 422)),
    "a list": ([], 400),
    "nothing": (None, 400),
}


@pytest.mark.parametrize("name", BAD_ORDERS)
def test_a_wrong_order_is_refused_with_the_reason(client, name):
    sent, status = BAD_ORDERS[name]
    before = client.get("/stapi/orders?limit=1").json()["orders"]
    answer = client.post(f"{PRODUCT}/orders", json=sent)
    if isinstance(status, tuple):
        assert answer.status_code in status
        return
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10
    assert client.get("/stapi/orders?limit=1").json()["orders"] == before


@pytest.mark.parametrize("name", [name for name in BAD_ORDERS if name not in ("the past", "too large", "too small")])
def test_a_wrong_search_is_refused_too(client, name):
    sent, status = BAD_ORDERS[name]
    if "cloud" in name or "parameters" in name or isinstance(status, tuple):
        return
    assert client.post(f"{PRODUCT}/opportunities", json=sent).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/stapi/products/nothing", 404),
        ("GET", "/stapi/products/nothing/queryables", 404),
        ("GET", "/stapi/products/nothing/order-parameters", 404),
        ("GET", "/stapi/products/nothing/conformance", 404),
        ("POST", "/stapi/products/nothing/orders", 404),
        ("POST", "/stapi/products/nothing/opportunities", 404),
        ("POST", "/stapi/products/inbox/opportunities", 422),
        ("GET", "/stapi/orders/00000000-0000-0000-0000-000000000000", 404),
        ("GET", "/stapi/orders/%00", 404),
        ("GET", "/stapi/orders/" + "x" * 3000, 400),
        ("GET", "/stapi/orders/nothing/statuses", 404),
        ("POST", "/stapi/orders/nothing/cancel", 404),
        ("GET", "/stapi/orders?limit=0", 400),
        ("GET", "/stapi/orders?limit=1001", 400),
        ("GET", "/stapi/orders?limit=many", 400),
        ("GET", "/stapi/orders?token=x", 400),
        ("GET", "/stapi/orders?token=" + "WzFd", 400),
        ("GET", "/stapi/orders?token=%F0%9F%9B%B0", 400),
        # [10**30, "a"], more than a database's integer holds
        ("GET", "/stapi/orders?token=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAsICJhIl0", 400),
        ("DELETE", "/stapi/orders", 405),
        ("GET", f"{PRODUCT}/orders", 405),
    ],
)
def test_wrong_addresses_are_problems(client, method, path, status):
    answer = client.request(method, path, json=body() if method == "POST" else None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_filter_on_a_product_without_queryables_is_refused(client):
    sent = body(filter={"op": "<=", "args": [{"property": "view:off_nadir"}, 20]})
    assert client.post("/stapi/products/inbox/orders", json=sent).status_code == 422
    assert client.post("/stapi/products/inbox/orders", json=body()).status_code == 201


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda some: st.lists(some, max_size=5) | st.dictionaries(st.text(), some, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged(draw):
    """A good request with one of its members, at any depth, replaced by any JSON."""
    whole = copy.deepcopy(body(filter={"op": "<=", "args": [{"property": "view:off_nadir"}, 20]}))
    at, key = {"root": whole}, "root"
    while isinstance(at[key], dict | list) and at[key] and draw(st.booleans() if key != "root" else st.just(True)):
        at = at[key]
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
    at[key] = draw(JSON)
    return whole


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=damaged(), where=st.sampled_from(["orders", "opportunities"]))
def test_no_request_is_our_fault(client, sent, where):
    answer = client.post(f"{PRODUCT}/{where}", json=sent)
    assert answer.status_code < 500, (sent, answer.text)
    assert answer.headers["content-type"] in ("application/problem+json", "application/geo+json")
