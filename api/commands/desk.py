"""Where the command line takes orders: a data folder, or a STAPI server."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import click

from api.commands.settings import data_option, settings_of

if TYPE_CHECKING:
    from api.desk import OrderDesk

Document = dict[str, Any]
"""A STAPI document."""


class Desk(Protocol):
    """Where orders are taken."""

    def submit(self, product_id: str, body: Mapping[str, Any], key: str | None = None) -> Document:
        """Order; the answer is the new Order, or the one that was ordered with the same key before."""
        ...

    def order(self, order_id: str) -> Document:
        """One Order."""
        ...

    def orders(self, limit: int) -> list[Document]:
        """The newest orders."""
        ...

    def statuses(self, order_id: str) -> list[Document]:
        """An order's history, newest first."""
        ...

    def opportunities(self, product_id: str, body: Mapping[str, Any]) -> list[Document]:
        """Passes that could fulfil an order."""
        ...

    def cancel(self, order_id: str) -> Document:
        """Call an order off."""
        ...


class FolderDesk:
    """The desk of a data folder, without a server."""

    def __init__(self, desk: "OrderDesk", base: str) -> None:
        self._desk, self._base = desk, base

    def submit(self, product_id: str, body: Mapping[str, Any], key: str | None = None) -> Document:
        """Order."""
        from api.stapi_requests import OrderRequest, read

        return self._desk.submit(product_id, read(OrderRequest, body), self._base, key=key)

    def order(self, order_id: str) -> Document:
        """One Order."""
        return self._desk.order(order_id, self._base)

    def orders(self, limit: int) -> list[Document]:
        """The newest orders."""
        found: list[Document] = []
        token: str | None = None
        while len(found) < limit:
            page = self._desk.orders(limit=min(limit - len(found), 1000), token=token, base=self._base)
            found += page.documents
            token = page.next_token
            if token is None:
                break
        return found

    def statuses(self, order_id: str) -> list[Document]:
        """An order's history, newest first."""
        found: list[Document] = []
        token: str | None = None
        while True:
            page = self._desk.statuses(order_id, limit=1000, token=token, base=self._base)
            found += page.documents
            token = page.next_token
            if token is None:
                return found

    def opportunities(self, product_id: str, body: Mapping[str, Any]) -> list[Document]:
        """Passes that could fulfil an order."""
        from api.stapi_requests import MAX_PAGE, OpportunityRequest, read

        request = read(OpportunityRequest, {**body, "limit": MAX_PAGE})
        features: list[Document] = self._desk.opportunities(product_id, request, self._base)["features"]
        return features

    def cancel(self, order_id: str) -> Document:
        """Call an order off."""
        return self._desk.cancel(order_id, self._base)


def where_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data and --url."""
    url = click.option("--url", metavar="URL", help="A STAPI server instead of a data folder: http://127.0.0.1:8000.")
    return data_option(url(command))


def open_desk(given: Mapping[str, Any]) -> Desk:
    """Open the desk that --url or --data name."""
    if given["url"] is not None:
        if given["data"] is not None:
            raise click.UsageError("--data and --url: give one of the two")
        from api.remote import RemoteDesk

        return RemoteDesk(given["url"])
    settings = settings_of(data=given["data"])
    from api.desk import OrderDesk
    from api.installation import Installation

    installation = Installation.open(settings)
    click.get_current_context().call_on_close(installation.close)
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    return FolderDesk(OrderDesk(installation=installation), str(base))
