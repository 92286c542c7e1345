"""The order desk: what STAPI's routes and the command line both do, as STAPI documents.

``base`` is the public address that the documents' links begin with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from api import stapi_documents as documents
from api.installation import Installation
from api.stapi_documents import Document
from api.stapi_requests import OpportunityRequest, OrderRequest, searched_window
from catalog.extent import Footprint, TimeWindow
from tasking.customer import cancel_order, submit_order
from tasking.errors import InvalidOrderError, InvalidTokenError
from tasking.feasibility import Feasibility, feasibility
from tasking.opportunity import Opportunity, find_opportunities
from tasking.order import AttemptStatus, Constraints, Order
from tasking.product import Product
from tasking.step import Dossier

ANONYMOUS = "anonymous"
"""Who orders, as long as nobody has to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPage:
    """Some documents of a list."""

    documents: tuple[Document, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDesk:
    """Takes orders and tells of them."""

    installation: Installation

    def submit(self, product_id: str, body: OrderRequest, base: str, *, key: str | None = None) -> Document:
        """Record an order; it survives everything but the disk once this returns.

        With a key that was sent before, with the same body, the order of that time is the answer.

        Raises
        ------
        IdempotencyError
            The key was sent with another body.
        UnknownProductError
            There is no such product.
        InvalidExtentError, InvalidOrderError
            It could never be fulfilled as it is written.
        """
        product = self.installation.product(product_id)
        if body.filter is not None and not product.satellites:
            raise InvalidOrderError(
                f"filter: {product.id} has no queryables, as the vendor chooses the pass; leave it out"
            )
        order = submit_order(
            self.installation.store,
            product,
            area=Footprint.from_geojson(body.geometry),
            window=body.window(),
            constraints=Constraints(filter=body.filter, max_cloud_cover_pct=body.order_parameters.max_cloud_cover),
            request=body.as_sent(),
            user=ANONYMOUS,
            now=datetime.now(UTC),
            key=key,
        )
        return self.order(order.id, base)

    def cancel(self, order_id: str, base: str) -> Document:
        """Call an order off.

        Raises
        ------
        UnknownOrderError
            There is none of that id.
        IllegalTransitionError
            It is too late.
        """
        cancel_order(self.installation.store, order_id, now=datetime.now(UTC))
        return self.order(order_id, base)

    def order(self, order_id: str, base: str) -> Document:
        """One order as it stands."""
        dossier = self.installation.store.dossier(order_id)
        return documents.order_document(dossier.order, dossier.last, self._items(dossier), base)

    def orders(self, *, limit: int, token: str | None, base: str) -> DocumentPage:
        """Orders, newest first."""
        page = self.installation.store.orders(limit=limit, token=token)
        return DocumentPage(
            documents=tuple(self.order(order.id, base) for order in page.orders), next_token=page.next_token
        )

    def statuses(self, order_id: str, *, limit: int, token: str | None, base: str) -> DocumentPage:
        """An order's history, newest first."""
        order: Order = self.installation.store.order(order_id)
        page = self.installation.store.history(order_id, limit=limit, token=token)
        return DocumentPage(
            documents=tuple(documents.status_document(change, order, base) for change in page.changes),
            next_token=page.next_token,
        )

    def opportunities(self, product_id: str, body: OpportunityRequest, base: str) -> Document:
        """Passes that could fulfil an order, by the time of the best view.

        Raises
        ------
        UnknownProductError
            There is no such product.
        InvalidExtentError, InvalidOrderError
            Place, time or filter are wrong, or the vendor chooses the pass.
        """
        product = self.installation.product(product_id)
        if not product.satellites:
            raise InvalidOrderError(f"{product.id} has no opportunities: the vendor chooses the pass; order right away")
        found = _after(_found(product, body), body.next)
        page, rest = found[: body.limit], found[body.limit :]
        again = {**body.as_sent(), "limit": body.limit, "next": _position(page[-1])} if rest else None
        return documents.opportunities_document(page, product, body.as_sent(), base, again)

    def feasibility(self, product_id: str, body: OrderRequest) -> Document:
        """How likely an order is to be completed in its interval, when, and what stands in the way.

        Raises
        ------
        UnknownProductError
            There is no such product.
        InvalidExtentError, InvalidOrderError
            Place, time or filter are wrong, or the vendor chooses the pass.
        """
        product = self.installation.product(product_id)
        if not product.satellites:
            raise InvalidOrderError(
                f"{product.id}: the vendor chooses the pass; nothing can be foreseen, order right away"
            )
        window = searched_window(body.window(), product, datetime.now(UTC))
        if window is None:
            raise InvalidOrderError(f"datetime: {body.datetime} is over")
        judged = _judged(product, body, window)
        return documents.feasibility_document(judged, product, window)

    def _items(self, dossier: Dossier) -> Sequence[tuple[str, str]]:
        product = self.installation.products.get(dossier.order.product_id)
        if product is None:
            return []
        done = [attempt for attempt in dossier.attempts if attempt.status is AttemptStatus.COMPLETED]
        return [(product.collection, attempt.item_id) for attempt in done if attempt.item_id is not None]


def _judged(product: Product, body: OrderRequest, window: TimeWindow) -> Feasibility:
    """Judge an order by all passes, those included that its conditions keep out."""
    area, constraints = Footprint.from_geojson(body.geometry), Constraints(filter=body.filter)
    most = max(one.agility.max_off_nadir_deg for one in product.satellites)
    every = find_opportunities(
        area, window, product.satellites, max_off_nadir_deg=most, min_sun_elevation_deg=-90.0, any_part=True
    )
    conditions: dict[str, Callable[[Opportunity], bool]] = {
        f"the sun is lower than {product.min_sun_elevation_deg:g}°": (
            lambda one: one.sun_elevation_deg >= product.min_sun_elevation_deg
        ),
        f"they look farther than {product.max_off_nadir_deg:g}° off nadir": (
            lambda one: one.off_nadir_deg <= product.max_off_nadir_deg + 1e-4
        ),
        "the filter leaves them out": lambda one: constraints.matches(one.properties),
    }
    failing = [[words for words, holds in conditions.items() if not holds(one)] for one in every]
    suitable = [one for one, words in zip(every, failing, strict=True) if not words]
    forgone = {words: failing.count([words]) for words in conditions}
    clouds = body.order_parameters.max_cloud_cover
    return feasibility(suitable, window, max_cloud_cover_pct=clouds, forgone=forgone)


def _found(product: Product, body: OpportunityRequest) -> list[Opportunity]:
    area = Footprint.from_geojson(body.geometry)
    constraints = Constraints(filter=body.filter)
    window = searched_window(body.window(), product, datetime.now(UTC))
    if window is None:
        return []
    found = find_opportunities(
        area,
        window,
        product.satellites,
        max_off_nadir_deg=product.max_off_nadir_deg,
        min_sun_elevation_deg=product.min_sun_elevation_deg,
        any_part=True,
    )
    return sorted((one for one in found if constraints.matches(one.properties)), key=_position)


def _position(opportunity: Opportunity) -> str:
    """Where an opportunity stands in the list: by naming the pass, so that it holds when time has moved on."""
    return f"{opportunity.best.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}~{opportunity.satellite_id}"


def _after(opportunities: list[Opportunity], position: str | None) -> list[Opportunity]:
    if position is None:
        return opportunities
    if "~" not in position:
        raise InvalidTokenError(f"next: {position[:60]!r} was not given by this search; follow its link next")
    return [one for one in opportunities if _position(one) > position]
