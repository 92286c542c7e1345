"""The order desk of any STAPI 0.1.0 server, found from its landing page by its links."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

Document = dict[str, Any]

TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 64 * 2**20
MAX_PAGES = 1000


class RemoteError(OSError):
    """A server that cannot be reached, is no STAPI, or refused: ``http://…/orders answered 422: datetime: …``."""


class UnreachableError(RemoteError):
    """A server that does not answer at all."""


class RemoteDesk:
    """Orders at a STAPI server.

    Every link is followed only to the server that was named: an answer cannot send the client elsewhere.
    """

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise RemoteError(f"{url!r} is no address; write http://HOST:PORT")
        self._origin = urlsplit(url)[:2]
        self._landing = self._find_landing(url.rstrip("/"))

    def _find_landing(self, url: str) -> Document:
        """The landing page at the address itself, or below it at /stapi, where this project has it."""
        for candidate in (url, f"{url}/stapi"):
            try:
                found = self._request(candidate)
            except UnreachableError:
                raise
            except RemoteError:
                continue
            conforms = found.get("conformsTo")
            if isinstance(conforms, list) and any("stapi" in str(uri) for uri in conforms):
                return found
        raise RemoteError(f"neither {url} nor {url}/stapi is a STAPI landing page; give the one that the operator told")

    def submit(self, product_id: str, body: Mapping[str, Any], key: str | None = None) -> Document:
        """Order; the answer is the new Order, or where the server knows such keys the one of an earlier time."""
        address = self._href(self._product(product_id), "create-order")
        return self._request(address, body, {} if key is None else {"idempotency-key": key})

    def order(self, order_id: str) -> Document:
        """One Order."""
        return self._request(f"{self._href(self._landing, 'orders').rstrip('/')}/{quote(order_id, safe='')}")

    def orders(self, limit: int) -> list[Document]:
        """The newest orders."""
        found: list[Document] = []
        for page in self._pages(self._href(self._landing, "orders")):
            found += _list(page.get("features") or page.get("orders"))
            if len(found) >= limit:
                break
        return found[:limit]

    def statuses(self, order_id: str) -> list[Document]:
        """An order's history, newest first."""
        pages = self._pages(self._href(self.order(order_id), "monitor"))
        return [status for page in pages for status in _list(page.get("statuses"))]

    def opportunities(self, product_id: str, body: Mapping[str, Any]) -> list[Document]:
        """Passes that could fulfil an order."""
        pages = self._pages(self._href(self._product(product_id), "opportunities"), body)
        return [one for page in pages for one in _list(page.get("features"))]

    def cancel(self, order_id: str) -> Document:
        """Call an order off, where the server offers it."""
        return self._request(self._href(self.order(order_id), "cancel"), {})

    def _product(self, product_id: str) -> Document:
        return self._request(f"{self._href(self._landing, 'products').rstrip('/')}/{quote(product_id, safe='')}")

    def _href(self, document: Document, rel: str) -> str:
        for link in _list(document.get("links")):
            if link.get("rel") == rel and isinstance(link.get("href"), str):
                return str(link["href"])
        raise RemoteError(f"{document.get('id', 'the server')} has no link {rel!r}: it does not offer that, or no more")

    def _pages(self, url: str, body: Mapping[str, Any] | None = None) -> Iterator[Document]:
        for _ in range(MAX_PAGES):
            page = self._request(url, body)
            yield page
            following = next((link for link in _list(page.get("links")) if link.get("rel") == "next"), None)
            if following is None:
                return
            url, body = str(following["href"]), following.get("body")

    def _request(
        self, url: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Document:
        address = urljoin(f"{self._origin[0]}://{self._origin[1]}/", url)
        if urlsplit(address)[:2] != self._origin:
            raise RemoteError(f"{address} is another server than the one asked; name that one with --url")
        request = urllib.request.Request(  # noqa: S310 - only http and https pass the constructor
            address,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "accept": "application/geo+json, application/json",
                "content-type": "application/json",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return _document(address, answer.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            reason = _reason(error.read(MAX_ANSWER_BYTES)) or error.reason
            raise RemoteError(f"{address} answered {error.code}: {reason}") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise UnreachableError(f"{address} cannot be reached: {getattr(error, 'reason', error)}") from None


def _document(address: str, body: bytes) -> Document:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RemoteError(f"{address} answered no JSON object; is it a STAPI server?")
    return found


def _reason(body: bytes) -> str | None:
    """What a problem document says."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    detail = found.get("detail") if isinstance(found, dict) else None
    return detail if isinstance(detail, str) else None


def _list(value: object) -> list[Document]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
