"""`overflight catalog`: documents in bulk, into the catalog and out of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.commands.progress import ProgressBars
from api.commands.settings import data_option, settings_of

if TYPE_CHECKING:
    from catalog.search import Search
    from catalog.transfer.importing import ImportReport

SHOWN = 20
"""Rejected entries that are told one by one; the file of rejects has all."""


@click.group()
def catalog() -> None:
    """Fill the catalog from files, and take out what is in it."""


@catalog.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--collection",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.json",
    help="The STAC Collection that the items belong to; it is inserted or replaced first.",
)
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.ndjson",
    help="Takes every entry that did not get in, with its reason.  [default: SOURCE.rejects.ndjson]",
)
@click.option("--restart", is_flag=True, help="Begin at the start, also where an earlier import was stopped.")
@data_option
def import_(*, source: Path, collection: Path | None, rejects: Path | None, restart: bool, data: Path | None) -> None:
    """Load STAC Items: one a line (.ndjson, .gz), a FeatureCollection, GeoParquet, or a static catalog.

    Items of the same id are replaced. What does not fit is told with its place and reason, and left out. An import
    that was stopped goes on where it was when it is called again.

    \b
    Examples:
      overflight catalog import items.ndjson --collection collection.json
      overflight catalog import items.parquet --collection collection.json
      overflight catalog import some/static/catalog.json
    """
    settings = settings_of(data=data)
    from api.catalog_store import data_folder, opened_catalog
    from catalog.transfer.importing import import_source

    rejects = source.with_name(f"{source.name}.rejects.ndjson") if rejects is None else rejects
    with opened_catalog(settings) as store, ProgressBars() as bars:
        report = import_source(
            store,
            source,
            collection=collection,
            state=data_folder(settings) / "imports",
            rejects=rejects,
            restart=restart,
            progress=bars,
        )
    _tell(report, source, rejects)


def _tell(report: "ImportReport", source: Path, rejects: Path) -> None:
    for one in report.rejected[:SHOWN]:
        place = one.place.removeprefix("line ") if one.place.startswith("line ") else one.place
        click.echo(f"{source.name}:{place}: {one.reason}", err=True)
    if len(report.rejected) > SHOWN:
        click.echo(f"and {len(report.rejected) - SHOWN} more", err=True)
    if report.resumed:
        click.echo(
            f"went on behind the {report.resumed} that an earlier call had dealt with"
            f" ({report.rejected_before} of them rejected)",
            err=True,
        )
    if report.rejected:
        click.echo(f"what was rejected is in {rejects}", err=True)
    click.echo(f"{report.imported} imported, {len(report.rejected)} rejected")
    if report.rejected or report.rejected_before:
        sys.exit(1)


@catalog.command("export")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--collection", "collections", multiple=True, metavar="ID", help="Only of these collections.")
@click.option("--ids", metavar="ID,…", help="Only these items.")
@click.option("--bbox", metavar="W,S,E,N", help="Only what touches this box; west > east crosses the antimeridian.")
@click.option("--datetime", metavar="START/END", help="Only what shares a moment with this interval.")
@click.option("--filter", "filter_", metavar="CQL2", help='Only what this is true for: "eo:cloud_cover < 20".')
@click.option(
    "--format",
    "form",
    type=click.Choice(("ndjson", "geoparquet", "static")),
    help="Format of TARGET.  [default: by its name; a folder is a static catalog]",
)
@data_option
def export(
    *,
    target: Path,
    collections: tuple[str, ...],
    ids: str | None,
    bbox: str | None,
    datetime: str | None,
    filter_: str | None,
    form: str | None,
    data: Path | None,
) -> None:
    """Write items to newline-delimited JSON, GeoParquet, or a static catalog.

    TARGET appears when it is whole, not before.

    \b
    Examples:
      overflight catalog export items.ndjson
      overflight catalog export clear.parquet --filter "eo:cloud_cover < 10"
      overflight catalog export static --collection sandbox-scenes
    """
    settings = settings_of(data=data)
    from api.catalog_store import data_folder, opened_catalog
    from catalog.transfer.exporting import export_items, format_of

    search = _search(collections, ids=ids, bbox=bbox, datetime=datetime, filter_=filter_)
    with opened_catalog(settings) as store, ProgressBars() as bars:
        # Whoever reads them elsewhere finds the files where they are served, or else where they lie.
        files = f"{settings.public_url}/files" if settings.public_url else (data_folder(settings) / "assets").as_uri()
        form = form or format_of(target)
        count = export_items(store.view(), search, target, form, files=files, progress=bars)
    click.echo(f"{count} exported to {target}")


def _search(
    collections: tuple[str, ...], *, ids: str | None, bbox: str | None, datetime: str | None, filter_: str | None
) -> "Search":
    from catalog.extent import BBox, TimeWindow
    from catalog.filter_reader import read_filter
    from catalog.search import Search

    try:
        edges = None if bbox is None else [float(edge) for edge in bbox.split(",")]
    except ValueError:
        raise click.UsageError(f"--bbox: {bbox!r} is not four numbers; give west,south,east,north") from None
    return Search(
        collections=collections or None,
        ids=None if ids is None else tuple(name for name in ids.split(",") if name),
        bbox=None if edges is None else BBox.of(edges),
        datetime=None if datetime is None else TimeWindow.parse(datetime),
        filter=None if filter_ is None else read_filter(filter_),
    )


@catalog.command()
@click.option("--collection", metavar="ID", help="Only this collection.")
@data_option
def refresh(*, collection: str | None, data: Path | None) -> None:
    """Take in what other programs have written to the catalog's database.

    Extents, summaries and queryables are made anew, and outlines that run over the antimeridian are cut there.

    \b
    Example:
      OVERFLIGHT_CATALOG=postgresql://localhost/catalog overflight catalog refresh
    """
    settings = settings_of(data=data)
    from api.catalog_store import opened_catalog
    from catalog.pgstac import PgstacCatalog

    with opened_catalog(settings) as store:
        if not isinstance(store, PgstacCatalog):
            raise click.ClickException("only a catalog in PostgreSQL has other writers; set OVERFLIGHT_CATALOG")
        mended = store.refresh(collection)
    click.echo(f"refreshed; {mended} outlines mended")
