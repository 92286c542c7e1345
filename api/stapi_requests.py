"""What a STAPI client may send: shapes only; whether an order makes sense is judged in `tasking`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.errors import InvalidExtentError
from catalog.extent import TimeWindow
from tasking.errors import InvalidOrderError
from tasking.product import Product

MAX_PAGE = 1000

EXAMPLE: dict[str, Any] = {
    "datetime": "2026-07-01T00:00:00Z/2026-07-04T00:00:00Z",
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[5.24, 44.15], [5.31, 44.15], [5.31, 44.2], [5.24, 44.2], [5.24, 44.15]]],
    },
    "filter": {"op": "<=", "args": [{"property": "view:off_nadir"}, 20]},
}


class SearchParameters(BaseModel):
    """Place, time and filter; members that the specification does not name are left alone, as JSON clients expect."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [EXAMPLE]})

    datetime: Annotated[
        str,
        Field(strict=True, max_length=200, description="RFC 3339 interval a/b; one end may be .. or empty"),
    ]
    geometry: Annotated[
        dict[str, Any], Field(description="GeoJSON Polygon or MultiPolygon, WGS 84; it may cross the antimeridian")
    ]
    filter: Annotated[dict[str, Any] | None, Field(description="CQL2 JSON over the product's queryables")] = None

    def window(self) -> TimeWindow:
        """The interval asked for.

        Raises
        ------
        InvalidExtentError
            It is no interval, or not one that `TimeWindow.parse` reads.
        """
        if "/" not in self.datetime:
            raise InvalidExtentError(f"datetime: {self.datetime[:60]!r} is a moment; write an interval, start/end")
        return TimeWindow.parse(self.datetime)

    def as_sent(self) -> dict[str, Any]:
        """The members that were sent, for links that send them again."""
        return self.model_dump(include={"datetime", "geometry", "filter"}, exclude_none=True)


class OpportunityRequest(SearchParameters):
    """A search for passes; `limit` and `next` page it."""

    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_PAGE)] = 100
    next: Annotated[str | None, Field(strict=True, max_length=200, description="From the link next")] = None


class OrderParameters(BaseModel):
    """Options of an order. STAPI: what is not declared here is refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"$schema": "http://json-schema.org/draft-07/schema#"})

    max_cloud_cover: Annotated[
        float,
        Field(
            strict=True,
            ge=0,
            le=100,
            title="Most clouds over the ordered area",
            description="Percent. A scene with more does not count, and the rest is tried again within the interval.",
        ),
    ] = 100.0


class OrderRequest(SearchParameters):
    """An order: what an opportunity search takes, and options."""

    order_parameters: OrderParameters = OrderParameters()

    def as_sent(self) -> dict[str, Any]:
        """The order as the customer wrote it."""
        parameters = self.order_parameters.model_dump(exclude_unset=True)
        return {**super().as_sent(), "order_parameters": parameters}


Request = TypeVar("Request", bound=SearchParameters)


def read(model: type[Request], body: Mapping[str, Any]) -> Request:
    """Read a request that did not come over HTTP.

    Raises
    ------
    InvalidOrderError
        A member is missing or wrong.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = [f"{'/'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        raise InvalidOrderError("; ".join(problems[:3])) from None


def searched_window(window: TimeWindow, product: Product, now: datetime) -> TimeWindow | None:
    """The part of the interval in which passes can be looked for: from now on, no longer than an order may last.

    None where all of it has passed.

    Raises
    ------
    InvalidOrderError
        It is longer than the product allows.
    """
    start = now if window.start is None else max(window.start, now)
    limit = timedelta(days=product.max_days)
    if window.end is not None and window.end < start:
        return None
    end = start + limit if window.end is None else window.end
    if end - start > limit:
        raise InvalidOrderError(
            f"datetime: {(end - start) / timedelta(days=1):.1f} days; {product.id} allows {product.max_days:g}"
        )
    return TimeWindow(start=start, end=end)
