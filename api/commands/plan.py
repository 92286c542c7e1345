"""`overflight plan …`: what the satellites are committed to, and why an order has no pass."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.commands.settings import data_option, settings_of

if TYPE_CHECKING:
    from api.installation import Installation
    from tasking.order import Attempt
    from tasking.product import Product
    from tasking.schedule import Acquisition
    from tasking.step import Dossier

DAYS = 14
"""So far ahead the plan is shown, and passes are looked for where an order has no end."""


@click.group()
def plan() -> None:
    """Show the plan of a data folder, and explain why an order is not in it.

    \b
    Examples:
      overflight plan show
      overflight plan explain ID
    """


@plan.command()
@data_option
@click.option("--days", type=click.IntRange(1, 366), default=DAYS, show_default=True, help="From now on.")
def show(*, data: Path | None, days: int) -> None:
    """Show what each satellite is to acquire from now on.

    \b
    Example:
      overflight plan show --days 3
    """
    from catalog.extent import TimeWindow, format_time

    now = datetime.now(UTC)
    with _installation(data) as installation:
        names = sorted({one.id for product in installation.products.values() for one in product.satellites})
        held = installation.store.held(names, TimeWindow(start=now, end=now + timedelta(days=days)))
    for one in held:
        assert one.window.start is not None
        angle = "" if one.off_nadir_deg is None else f"{one.off_nadir_deg:5.1f}°"
        moment = format_time(one.window.start.replace(microsecond=0))
        click.echo(
            f"{moment}  {one.satellite_id:<14} {angle:>7}  {one.area.area_km2:9.1f} km²  {one.status:<9} {one.id}"
        )
    if not held:
        click.echo(f"nothing is planned in the next {days} days", err=True)


@plan.command()
@click.argument("order_id", metavar="ID")
@data_option
def explain(*, order_id: str, data: Path | None) -> None:
    """Say of each pass over what is left of an order why it is not used, and for whom the satellite works instead.

    \b
    Example:
      overflight plan explain 3f0c…
    """
    from tasking.course import open_area
    from tasking.order import FINAL

    with _installation(data) as installation:
        dossier = installation.store.dossier(order_id)
        left = open_area(dossier)
        click.echo(f"{dossier.order.id} is {dossier.order.status}: {dossier.last.reason_text or 'no reason was given'}")
        for attempt in dossier.in_flight():
            click.echo(f"  {attempt.area.area_km2:.1f} km² are {attempt.status}: {attempt.id}")
        if dossier.order.status in FINAL or left is None:
            return
        click.echo(f"  {left.area_km2:.1f} km² have no pass")
        product = installation.product(dossier.order.product_id)
        if product.satellites:
            _explain_passes(installation, dossier, product)
        else:
            click.echo("  its provider chooses the passes")


def _explain_passes(installation: "Installation", dossier: "Dossier", product: "Product") -> None:
    from catalog.extent import TimeWindow, format_time
    from tasking.course import open_area, search_window
    from tasking.opportunity import Opportunity, find_opportunities
    from tasking.schedule import hindrances
    from tasking.worker import TURN

    now = datetime.now(UTC)
    window, left = search_window(dossier, now), open_area(dossier)
    if window is None or left is None:
        click.echo("  no time is left for another pass")
        return
    start = window.start or now
    end = window.end or start + timedelta(days=DAYS)
    passes = find_opportunities(
        left,
        TimeWindow(start=start, end=end),
        product.satellites,
        max_off_nadir_deg=product.max_off_nadir_deg,
        min_sun_elevation_deg=product.min_sun_elevation_deg,
    )
    around = TimeWindow(start=start - TURN, end=end + TURN)
    held = installation.store.held([one.id for one in product.satellites], around)

    def suits(one: Opportunity) -> bool:
        within = one.off_nadir_deg <= product.max_off_nadir_deg
        return within and dossier.order.constraints.matches(one.properties)

    known = {one.id: acquisition for one in held if (acquisition := _acquisition(one)) is not None}
    orders = {one.id: one.order_id for one in held}
    for one in hindrances(uncovered=left, opportunities=passes, satellites=product.satellites, held=known, suits=suits):
        moment = format_time(one.opportunity.best.replace(microsecond=0))
        whom = ", ".join(f"{name} of order {orders[name]}" for name in one.blocked_by)
        reason = f"{one.reason}: {whom}" if whom else one.reason
        click.echo(f"  {moment}  {one.opportunity.satellite_id:<14} {one.opportunity.off_nadir_deg:5.1f}°  {reason}")
    if not passes:
        click.echo(f"  no satellite passes within the limits before {format_time(end)}")


def _acquisition(attempt: "Attempt") -> "Acquisition | None":
    from tasking.schedule import Acquisition

    start, end = attempt.window.start, attempt.window.end
    if attempt.satellite_id is None or start is None or end is None:
        return None
    return Acquisition(attempt.satellite_id, start, end, attempt.off_nadir_deg or 0.0)


def _installation(data: Path | None) -> "Installation":
    from api.installation import Installation

    return Installation.open(settings_of(data=data))
