"""`overflight order …`: submit, follow and call off orders, in a data folder or at any STAPI server."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from api.commands.area import geometry_of, interval_of, place_options, time_options
from api.commands.desk import Desk, Document, open_desk, where_options

FINAL = ("rejected", "completed", "failed", "expired", "cancelled", "user_cancelled")
"""Status codes after which nothing comes."""


@click.group()
def order() -> None:
    """Submit, follow and call off orders.

    They are taken in a data folder (--data), where a running `overflight serve` or `worker` carries them out, or at any
    STAPI server (--url).

    \b
    Examples:
      overflight order submit --area field.gpkg --within 3d --max-cloud-cover 20
      overflight order submit --bbox 5.24 44.15 5.31 44.20 --start 2026-07-01T00:00:00Z --end 2026-07-04T00:00:00Z
      overflight order passes --point 5.28 44.17 --size-km 5 --within 3d
      overflight order watch ID --url http://127.0.0.1:8000
    """


def request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what an order and a search for passes share."""
    for option in (
        click.option("--filter", "filter_", metavar="JSON", help="CQL2 JSON over the product's queryables."),
        click.option("--max-off-nadir", type=float, metavar="DEG", help="Largest off-nadir angle."),
        click.option("--product", default="sandbox-multispectral", show_default=True, help="What to order."),
    ):
        command = option(command)
    return where_options(place_options(time_options(command)))


@order.command()
@request_options
@click.option("--max-cloud-cover", type=float, metavar="PERCENT", help="Most clouds over the area.  [default: 100]")
@click.option(
    "--key",
    metavar="TEXT",
    help="Name of this order: sent again with the same words, --start and --end, it is no second one.",
)
@click.option("--watch", "watching", is_flag=True, help="Follow it until it has ended.")
def submit(*, max_cloud_cover: float | None, key: str | None, watching: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Order a picture of an area; prints the order's id.

    \b
    Examples:
      overflight order submit --area field.geojson --within 3d
      overflight order submit --bbox 179.9 -16.9 -179.9 -16.7 --within 1w      across the antimeridian
      overflight order submit --point 5.28 44.17 --size-km 4 --within 2d --max-off-nadir 20 --watch
    """
    body = _request(given)
    body["order_parameters"] = {} if max_cloud_cover is None else {"max_cloud_cover": max_cloud_cover}
    desk = open_desk(given)
    taken = desk.submit(given["product"], body, key)
    click.echo(taken["id"])
    if watching:
        _watch(desk, str(taken["id"]))


@order.command()
@request_options
def passes(**given: Any) -> None:  # noqa: ANN401 - click's options
    """Show when which satellite could see an area, and how well.

    \b
    Example:
      overflight order passes --point 5.28 44.17 --size-km 5 --within 3d --max-off-nadir 20
    """
    found = open_desk(given).opportunities(given["product"], _request(given))
    rows = [_pass(one.get("properties", {})) for one in found]
    _table(("best view (UTC)", "satellite", "off nadir", "sun", "GSD", "flies"), rows)
    if not rows:
        click.echo("no satellite passes in that time within the limits; widen the interval or the filter", err=True)


@order.command()
@click.argument("order_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The STAPI document instead of a table.")
@where_options
def show(*, order_id: str, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Show an order, its history, and the items that fulfil it.

    \b
    Example:
      overflight order show 3f0c… --url http://127.0.0.1:8000
    """
    desk = open_desk(given)
    document = desk.order(order_id)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    fields = _fields(document)
    click.echo(f"{document['id']}  {fields.get('product_id', '')}  {fields.get('status', {}).get('status_code', '')}")
    for status in reversed(desk.statuses(order_id)):
        click.echo(_status_line(status))
    for link in document.get("links", []):
        if link.get("rel") == "item":
            click.echo(f"item  {link['href']}")


@order.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="STAPI documents, one a line.")
@where_options
def list_orders(*, limit: int, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """List orders, newest first.

    \b
    Example:
      overflight order list --limit 5
    """
    found = open_desk(given).orders(limit)
    if as_json:
        for one in found:
            click.echo(json.dumps(one))
        return
    rows: list[tuple[str, ...]] = []
    for one in found:
        fields = _fields(one)
        status = fields.get("status", {})
        rows.append(
            (
                str(one.get("id", "")),
                str(fields.get("created", ""))[:19],
                str(status.get("status_code", "")),
                str(status.get("reason_text", "")),
            )
        )
    _table(("order", "created (UTC)", "status", "reason"), rows)


@order.command()
@click.argument("order_id", metavar="ID")
@where_options
def cancel(order_id: str, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Call an order off, as long as no satellite has been commanded.

    \b
    Example:
      overflight order cancel 3f0c…
    """
    document = open_desk(given).cancel(order_id)
    click.echo(_fields(document).get("status", {}).get("status_code", ""))


@order.command()
@click.argument("order_id", metavar="ID")
@where_options
def watch(order_id: str, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Follow an order until it has ended; exit status 0 only if it was completed.

    \b
    Example:
      overflight order watch 3f0c… && echo "it is there"
    """
    _watch(open_desk(given), order_id)


def _watch(desk: Desk, order_id: str, *, every_s: float = 1.0) -> None:
    seen = 0
    while True:
        history = list(reversed(desk.statuses(order_id)))
        for status in history[seen:]:
            click.echo(_status_line(status), err=True)
        seen = len(history)
        code = history[-1].get("status_code") if history else None
        if code in FINAL:
            for link in desk.order(order_id).get("links", []):
                if link.get("rel") == "item":
                    click.echo(link["href"])
            sys.exit(0 if code == "completed" else 1)
        time.sleep(every_s)


def _request(given: Mapping[str, Any]) -> Document:
    """The members that an order and a search share."""
    area: Path | None = given["area"]
    body: Document = {
        "datetime": interval_of(given["start"], given["end"], given["within"]),
        "geometry": geometry_of(area, given["bbox"], given["point"], given["size_km"]),
    }
    filters = []
    if given["max_off_nadir"] is not None:
        filters.append({"op": "<=", "args": [{"property": "view:off_nadir"}, given["max_off_nadir"]]})
    if given["filter_"] is not None:
        filters.append(_json_object("--filter", given["filter_"]))
    if filters:
        body["filter"] = filters[0] if len(filters) == 1 else {"op": "and", "args": filters}
    return body


def _json_object(option: str, text: str) -> Document:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{option}: no JSON ({error})") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{option}: no JSON object")
    return found


def _fields(document: Document) -> Document:
    """An order's fields in either reading of the specification."""
    return {**document, **document.get("properties", {})}


def _status_line(status: Document) -> str:
    when = str(status.get("timestamp", ""))[:19].replace("T", " ")
    return f"{when}  {status.get('status_code', ''):<14}  {status.get('reason_text', '')}".rstrip()


def _pass(properties: Document) -> tuple[str, ...]:
    best = str(properties.get("overflight:best") or properties.get("datetime", ""))

    def figure(name: str, unit: str) -> str:
        value = properties.get(name)
        return f"{value:.1f} {unit}" if isinstance(value, int | float) else ""

    return (
        best[:19].replace("T", " "),
        str(properties.get("platform", "")),
        figure("view:off_nadir", "°"),
        figure("view:sun_elevation", "°"),
        figure("gsd", "m"),
        str(properties.get("sat:orbit_state", "")),
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Plain columns: they stay readable in a pipe, and no line is cut."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
