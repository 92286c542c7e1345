"""STAPI 0.1.0: products, opportunities, orders and their statuses; and our extension to call an order off."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import JSONResponse

from api import stapi_documents as documents
from api.address import public_address
from api.desk import OrderDesk
from api.installation import Installation
from api.problems import REFUSALS
from api.stapi_requests import MAX_PAGE, OpportunityRequest, OrderParameters, OrderRequest

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most entries of one page")]
Token = Annotated[str | None, Query(max_length=500, description="From the link `next` of an earlier page")]
Key = Annotated[
    str | None,
    Header(description="A name for this submission: sent again with the same body, it is no second order"),
]
Id = Annotated[str, Path(max_length=100)]


class GeoJson(JSONResponse):
    """A GeoJSON answer."""

    media_type = documents.GEOJSON


class Schema(JSONResponse):
    """A JSON Schema answer."""

    media_type = documents.SCHEMA


def stapi_router(installation: Installation) -> APIRouter:
    """Every route below ``/stapi``."""
    router = APIRouter(prefix="/stapi", tags=["STAPI"], responses=REFUSALS)
    desk = OrderDesk(installation=installation)
    _add_landing(router, installation)
    _add_products(router, installation)
    _add_opportunities(router, desk)
    _add_orders(router, desk)
    return router


def _add_landing(router: APIRouter, installation: Installation) -> None:
    @router.get("", summary="Landing page")
    @router.get("/", include_in_schema=False)
    def landing(request: Request) -> JSONResponse:
        return JSONResponse(documents.landing_document(public_address(request), installation.products.values()))

    @router.get("/conformance", summary="What is implemented")
    def conformance() -> JSONResponse:
        return JSONResponse({"conformsTo": list(documents.API_CONFORMANCE)})


def _add_products(router: APIRouter, installation: Installation) -> None:
    @router.get("/products", summary="What can be ordered")
    def products(request: Request, limit: Limit = 100, token: Token = None) -> JSONResponse:
        base = public_address(request)
        ids = sorted(one for one in installation.products if token is None or one > token)
        page, rest = ids[:limit], ids[limit:]
        return JSONResponse(
            {
                "type": "ProductCollection",
                "products": [documents.product_document(installation.products[one], base) for one in page],
                "links": [
                    *_page_links(request, "/stapi/products", documents.JSON, limit, page[-1] if rest else None),
                    documents.link("root", f"{base}/stapi"),
                ],
            }
        )

    @router.get("/products/{product_id}", summary="One product")
    def product(request: Request, product_id: Id) -> JSONResponse:
        return JSONResponse(documents.product_document(installation.product(product_id), public_address(request)))

    @router.get("/products/{product_id}/conformance", summary="What is implemented for this product")
    def product_conformance(product_id: Id) -> JSONResponse:
        return JSONResponse({"conformsTo": documents.product_conformance(installation.product(product_id))})

    @router.get(
        "/products/{product_id}/queryables", response_class=Schema, summary="JSON Schema of what a filter may speak of"
    )
    def queryables(request: Request, product_id: Id) -> Schema:
        return Schema(documents.queryables_document(installation.product(product_id), public_address(request)))

    @router.get(
        "/products/{product_id}/order-parameters", response_class=Schema, summary="JSON Schema of an order's options"
    )
    def order_parameters(product_id: Id) -> Schema:
        installation.product(product_id)
        return Schema(OrderParameters.model_json_schema())


def _add_opportunities(router: APIRouter, desk: OrderDesk) -> None:
    @router.post(
        "/products/{product_id}/opportunities", response_class=GeoJson, summary="Passes that could fulfil an order"
    )
    def opportunities(request: Request, product_id: Id, body: OpportunityRequest) -> GeoJson:
        found = desk.opportunities(product_id, body, public_address(request))
        # Searches are answered at once: whoever prefers otherwise is told (RFC 7240, 3).
        return GeoJson(found, headers={"preference-applied": "wait"})

    @router.post("/products/{product_id}/feasibility", summary="How likely an order is to be completed (extension)")
    def feasibility(product_id: Id, body: OrderRequest) -> JSONResponse:
        return JSONResponse(desk.feasibility(product_id, body))


def _add_orders(router: APIRouter, desk: OrderDesk) -> None:
    @router.post("/products/{product_id}/orders", status_code=201, response_class=GeoJson, summary="Order")
    def create_order(request: Request, product_id: Id, body: OrderRequest, idempotency_key: Key = None) -> GeoJson:
        base = public_address(request)
        order = desk.submit(product_id, body, base, key=idempotency_key)
        return GeoJson(order, status_code=201, headers={"location": f"{base}/stapi/orders/{order['id']}"})

    @router.get("/orders", response_class=GeoJson, summary="Orders, newest first")
    def orders(request: Request, limit: Limit = 10, token: Token = None) -> GeoJson:
        base = public_address(request)
        page = desk.orders(limit=limit, token=token, base=base)
        links = _page_links(request, "/stapi/orders", documents.GEOJSON, limit, page.next_token)
        return GeoJson(documents.orders_document(page.documents, [*links, documents.link("root", f"{base}/stapi")]))

    @router.get("/orders/{order_id}", response_class=GeoJson, summary="One order")
    def order(request: Request, order_id: Id) -> GeoJson:
        return GeoJson(desk.order(order_id, public_address(request)))

    @router.get("/orders/{order_id}/statuses", summary="An order's history, newest first")
    def statuses(request: Request, order_id: Id, limit: Limit = 100, token: Token = None) -> JSONResponse:
        base = public_address(request)
        page = desk.statuses(order_id, limit=limit, token=token, base=base)
        self = f"/stapi/orders/{order_id}"
        links = _page_links(request, f"{self}/statuses", documents.JSON, limit, page.next_token)
        return JSONResponse(
            {
                "stapi_type": "OrderStatusCollection",
                "stapi_version": documents.VERSION,
                "statuses": list(page.documents),
                "links": [*links, documents.link("order", base + self, documents.GEOJSON)],
            }
        )

    @router.post("/orders/{order_id}/cancel", response_class=GeoJson, summary="Call an order off (extension)")
    def cancel(request: Request, order_id: Id) -> GeoJson:
        return GeoJson(desk.cancel(order_id, public_address(request)))


def _page_links(
    request: Request, path: str, media_type: str, limit: int, next_token: str | None
) -> list[documents.Document]:
    here = public_address(request) + path
    query = f"?{request.url.query}" if request.url.query else ""
    links = [documents.link("self", here + query, media_type)]
    if next_token is not None:
        following = urlencode({"limit": limit, "token": next_token})
        links.append(documents.link("next", f"{here}?{following}", media_type, method="GET"))
    return links
