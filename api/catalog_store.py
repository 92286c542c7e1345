"""The catalog of an installation by itself: who only fills or reads it does not wait for all the rest to load."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from api.settings import Settings
from catalog.sqlite import SqliteCatalog

if TYPE_CHECKING:
    from catalog.pgstac import PgstacCatalog


def data_folder(settings: Settings) -> Path:
    """The folder that holds everything; made where there is none."""
    data = settings.data.expanduser().absolute()
    data.mkdir(parents=True, exist_ok=True)
    return data


def open_catalog(settings: Settings) -> "SqliteCatalog | PgstacCatalog":
    """The catalog where the settings say."""
    if settings.catalog is None:
        return SqliteCatalog(data_folder(settings) / "catalog.db")
    from catalog.pgstac import PgstacCatalog

    return PgstacCatalog(settings.catalog)


@contextmanager
def opened_catalog(settings: Settings) -> Iterator["SqliteCatalog | PgstacCatalog"]:
    """The same, closed behind the block."""
    catalog = open_catalog(settings)
    try:
        yield catalog
    finally:
        catalog.close()
