"""STAPI 0.1.0 documents, made from orders, products and opportunities.

The text of the specification and its OpenAPI lay an Order out in two ways: fields at the top level, or under
``properties``; a list under ``orders``, or as a FeatureCollection. They do not clash, so each document serves both.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from catalog.extent import TimeWindow, format_time
from tasking.feasibility import Feasibility
from tasking.opportunity import Opportunity
from tasking.order import TRANSITIONS, Order, OrderStatus, StatusChange
from tasking.product import Product

VERSION = "0.1.0"
CONFORMANCE = "https://stapi.example.com/v0.1.0/"

CANCEL = "urn:overflight:stapi:cancel:1.0"
"""Our extension: an order that may become ``user_cancelled`` has a link ``cancel``; POST there calls it off."""

IDEMPOTENCY = "urn:overflight:stapi:idempotency-key:1.0"
"""Our extension: an order sent again with the same ``Idempotency-Key`` and body is the same order."""

API_CONFORMANCE = (CONFORMANCE + "core", CONFORMANCE + "order-statuses", CANCEL, IDEMPOTENCY)

GEOMETRIES = ("https://geojson.org/schema/Polygon.json", "https://geojson.org/schema/MultiPolygon.json")
"""What an order's geometry may be."""

JSON = "application/json"
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"

Document = dict[str, Any]


def link(rel: str, href: str, media_type: str = JSON, **more: object) -> Document:
    """A link object; ``more`` is ``title``, ``method``, ``body``."""
    return {"rel": rel, "href": href, "type": media_type, **more}


def landing_document(base: str, products: Iterable[Product]) -> Document:
    """The page where a STAPI client starts."""
    root = f"{base}/stapi"
    return {
        "id": "overflight",
        "title": "Overflight",
        "description": "Order a fresh picture of a place on Earth and follow it until the scene is in the catalog.",
        "conformsTo": list(API_CONFORMANCE),
        "links": [
            link("self", root),
            link("root", root),
            link("conformance", f"{root}/conformance", title="What is implemented"),
            link("products", f"{root}/products", title="What can be ordered"),
            link("orders", f"{root}/orders", GEOJSON, title="Orders so far"),
            *(
                link(
                    "create-order", f"{root}/products/{product.id}/orders", GEOJSON, method="POST", title=product.title
                )
                for product in products
            ),
            link("service-desc", f"{base}/openapi.json", "application/vnd.oai.openapi+json;version=3.1"),
            link("service-doc", f"{base}/docs", "text/html"),
            link("search", f"{base}/stac/search", GEOJSON, title="The catalog that finished scenes go to"),
        ],
    }


def product_conformance(product: Product) -> list[str]:
    """What truly works for this product: passes can be searched only where the satellites are known."""
    return [*([CONFORMANCE + "opportunities"] if product.satellites else []), *GEOMETRIES]


def product_document(product: Product, base: str) -> Document:
    """A Product, which is also a STAC Collection of what it will make."""
    self = f"{base}/stapi/products/{product.id}"
    bands = sorted({band.common_name for one in product.satellites for band in (*one.sensor.bands, one.sensor.pan)})
    return {
        "type": "Collection",
        "stapi_type": "Product",
        "stapi_version": VERSION,
        "id": product.id,
        "title": product.title,
        "description": product.description,
        "keywords": ["optical", "tasking", *bands],
        "license": product.license,
        "providers": [{"name": f"Overflight {product.provider}", "roles": ["producer", "host"], "url": base}],
        "conformsTo": product_conformance(product),
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        "summaries": {
            "gsd": [product.gsd_m],
            "platform": [satellite.id for satellite in product.satellites],
            "view:off_nadir": {"minimum": 0, "maximum": product.max_off_nadir_deg},
            "view:sun_elevation": {"minimum": product.min_sun_elevation_deg, "maximum": 90},
        },
        "overflight:limits": {
            "min_area_km2": product.min_area_km2,
            "max_area_km2": product.max_area_km2,
            "max_days": product.max_days,
        },
        "links": [
            link("self", self),
            link("root", f"{base}/stapi"),
            link("parent", f"{base}/stapi/products"),
            link("conformance", f"{self}/conformance"),
            link("queryables", f"{self}/queryables", SCHEMA),
            link("order-parameters", f"{self}/order-parameters", SCHEMA),
            link("create-order", f"{self}/orders", GEOJSON, method="POST"),
            *([link("opportunities", f"{self}/opportunities", GEOJSON, method="POST")] if product.satellites else []),
            link("collection", f"{base}/stac/collections/{product.collection}", title="Where its scenes appear"),
        ],
    }


def queryables_document(product: Product, base: str) -> Document:
    """JSON Schema of what a filter may speak of."""
    off_nadir = {"type": "number", "minimum": 0, "maximum": product.max_off_nadir_deg, "unit": "degree"}
    angle = {"type": "number", "minimum": 0, "maximum": 360, "unit": "degree"}
    elevation = {"type": "number", "minimum": product.min_sun_elevation_deg, "maximum": 90, "unit": "degree"}
    properties: Document = {
        "view:off_nadir": {"title": "Off-nadir angle", **off_nadir},
        "view:incidence_angle": {"title": "Incidence angle at the ground", **off_nadir, "maximum": 90},
        "view:azimuth": {"title": "Azimuth from the point below the satellite to the area", **angle},
        "view:sun_azimuth": {"title": "Sun azimuth", **angle},
        "view:sun_elevation": {"title": "Sun elevation", **elevation},
        "gsd": {"title": "Ground sampling distance", "type": "number", "minimum": product.gsd_m, "unit": "metre"},
        "platform": {"title": "Satellite", "type": "string", "enum": [one.id for one in product.satellites]},
        "sat:orbit_state": {"title": "Direction of flight", "type": "string", "enum": ["ascending", "descending"]},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"{base}/stapi/products/{product.id}/queryables",
        "title": f"Queryables of {product.title}",
        "description": "Properties of an opportunity, for CQL2 JSON filters."
        if product.satellites
        else "The vendor chooses the pass: nothing can be filtered.",
        "type": "object",
        "properties": properties if product.satellites else {},
        "additionalProperties": False,
    }


def status_document(change: StatusChange, order: Order, base: str) -> Document:
    """One status of an order, with links to what belongs to it."""
    details = dict(change.details or {})
    links = [link("order", f"{base}/stapi/orders/{order.id}", GEOJSON)]
    if isinstance(details.get("collection"), str) and isinstance(details.get("item"), str):
        links.append(link("item", item_address(base, details["collection"], details["item"]), GEOJSON))
    document: Document = {"timestamp": format_time(change.at), "status_code": str(change.status), "links": links}
    if change.reason_code is not None:
        document["reason_code"] = change.reason_code
    if change.reason_text is not None:
        document["reason_text"] = change.reason_text
    if details:
        document["overflight:details"] = details
    return document


def item_address(base: str, collection: str, item: str) -> str:
    """Where an item is found."""
    return f"{base}/stac/collections/{collection}/items/{item}"


def order_document(order: Order, current: StatusChange, items: Sequence[tuple[str, str]], base: str) -> Document:
    """An Order in both readings of the specification; ``items`` are (collection, item) that fulfil it."""
    self = f"{base}/stapi/orders/{order.id}"
    status = status_document(current, order, base)
    request = dict(order.request)
    search = {key: request[key] for key in ("datetime", "geometry", "filter") if request.get(key) is not None}
    parameters = request.get("order_parameters") or {}
    fields = {
        "product_id": order.product_id,
        "user": order.user,
        "created": format_time(order.created),
        "status": status,
        "request": request,
    }
    links = [
        link("self", self, GEOJSON),
        link("root", f"{base}/stapi"),
        link("monitor", f"{self}/statuses"),
        link("product", f"{base}/stapi/products/{order.product_id}"),
        *(link("item", item_address(base, collection, item), GEOJSON) for collection, item in items),
    ]
    if OrderStatus.USER_CANCELLED in TRANSITIONS[order.status]:
        links.append(link("cancel", f"{self}/cancel", GEOJSON, method="POST"))
    return {
        "type": "Feature",
        "stapi_type": "Order",
        "stapi_version": VERSION,
        "id": order.id,
        "geometry": order.area.geojson,
        "bbox": list(order.area.bbox.as_tuple()),
        **fields,
        "properties": {
            **fields,
            "search_parameters": search,
            "order_parameters": parameters,
            "opportunity_properties": {"datetime": str(order.window), "product_id": order.product_id},
        },
        "links": links,
    }


def orders_document(orders: Sequence[Document], links: Sequence[Document]) -> Document:
    """A list of orders in both readings."""
    return {
        "type": "FeatureCollection",
        "stapi_type": "OrderCollection",
        "stapi_version": VERSION,
        "orders": list(orders),
        "features": list(orders),
        "links": list(links),
    }


def opportunity_document(opportunity: Opportunity, product: Product, request: Mapping[str, Any], base: str) -> Document:
    """An Opportunity with a link that orders just this pass."""
    return {
        "type": "Feature",
        "stapi_type": "Opportunity",
        "stapi_version": VERSION,
        "id": opportunity.id,
        "geometry": opportunity.footprint.geojson,
        "bbox": list(opportunity.footprint.bbox.as_tuple()),
        "properties": {
            "datetime": str(opportunity.window),
            "product_id": product.id,
            "overflight:best": format_time(opportunity.best),
            **opportunity.properties,
            **opportunity.outlook,
        },
        "links": [create_order_link(product, {**request, "datetime": str(whole_seconds(opportunity.window))}, base)],
    }


def feasibility_document(judged: Feasibility, product: Product, window: TimeWindow) -> Document:
    """What is to be expected of an order (extension)."""
    return {
        "product_id": product.id,
        "datetime": str(window),
        "chance": round(judged.chance, 3),
        "expected": None if judged.expected is None else format_time(judged.expected),
        "passes": judged.passes,
        "reasons": list(judged.reasons),
    }


def create_order_link(product: Product, request: Mapping[str, Any], base: str) -> Document:
    """A link whose body, sent as it is, orders what was searched for."""
    body = {key: request[key] for key in ("datetime", "geometry", "filter") if request.get(key) is not None}
    body["order_parameters"] = dict(request.get("order_parameters") or {})
    return link("create-order", f"{base}/stapi/products/{product.id}/orders", GEOJSON, method="POST", body=body)


def whole_seconds(window: TimeWindow) -> TimeWindow:
    """The window widened to full seconds, so that ordering a pass never cuts it."""
    assert window.start is not None
    assert window.end is not None
    start, end = window.start.replace(microsecond=0), window.end
    if end.microsecond:
        end = end.replace(microsecond=0) + timedelta(seconds=1)
    return TimeWindow(start=start, end=end)


def opportunities_document(
    opportunities: Sequence[Opportunity],
    product: Product,
    request: Mapping[str, Any],
    base: str,
    again: Mapping[str, Any] | None,
) -> Document:
    """The passes that a search found, and a link that orders whichever comes first.

    ``again`` is the body that asks for the next page; None on the last one.
    """
    href = f"{base}/stapi/products/{product.id}/opportunities"
    more = [] if again is None else [link("next", href, GEOJSON, method="POST", body=dict(again))]
    return {
        "type": "FeatureCollection",
        "stapi_type": "OpportunityCollection",
        "stapi_version": VERSION,
        "features": [opportunity_document(one, product, request, base) for one in opportunities],
        "links": [create_order_link(product, request, base), *more],
    }
