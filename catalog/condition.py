"""What must hold of what is there for a write to take effect, and how it is told that it does not."""

from catalog.errors import ExistsError, NotFoundError, PreconditionError
from catalog.search import Condition


def not_found(collection: str, item: str | None) -> NotFoundError:
    """Say that a document is not there."""
    if item is None:
        return NotFoundError(f"collection: there is no {collection!r:.200}; GET /stac/collections lists them")
    return NotFoundError(f"item: there is no {item!r:.200} in collection {collection!r:.200}")


def check(condition: Condition, name: str, etag: str | None, *, missing: NotFoundError | None = None) -> None:
    """Hold a condition against the state of a document; None is a document that is not there.

    Raises
    ------
    NotFoundError
        It has to be there, and is not.
    PreconditionError
        It is not there yet, or in another state.
    """
    if etag is None:
        if condition.etags is not None:
            raise PreconditionError(f"{name!r:.100}: it is not there any more; read again before you write")
        if condition.present or missing is not None:
            raise missing or NotFoundError(f"{name!r:.100}: there is none to replace; insert it")
        return
    if condition.absent:
        raise ExistsError(f"{name!r:.100}: it is there already; replace it, or choose another id")
    if condition.etags is not None and etag not in condition.etags:
        raise PreconditionError(f"{name!r:.100}: it has changed since you read it; read again before you write")
