"""What can go wrong in the catalog."""


class CatalogError(Exception):
    """What was wrong, where, and what would be right.

    ``bbox: south 12.0 lies above north 3.0; give west, south, east, north``
    """


class InvalidExtentError(CatalogError):
    """A geometry, box or time span that describes no place or time on Earth."""


class InvalidSearchError(CatalogError):
    """A search that no catalog could answer: a foreign token, a limit out of bounds, two places at once."""


class InvalidItemError(CatalogError):
    """A document that is no STAC Item or Collection that this catalog could hold."""


class NotFoundError(CatalogError):
    """No such collection, item or asset."""


class PreconditionError(CatalogError):
    """What is there is not what the writer took it for."""


class ExistsError(PreconditionError):
    """It is there already."""


class UnavailableError(CatalogError):
    """The database does not answer; later it may."""
