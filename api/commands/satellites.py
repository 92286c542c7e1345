"""`overflight satellites …`: who flies, with which element sets; import and export."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands.settings import data_option, settings_of

if TYPE_CHECKING:
    from tasking.fleet import Fleet
    from tasking.satellite import Satellite


@click.group()
def satellites() -> None:
    """Keep the fleet: satellites, their element sets and ground stations.

    A running `overflight serve` sees every change at once.

    \b
    Examples:
      overflight satellites import fleet.json
      overflight satellites import elements.tle
      overflight satellites list
    """


@satellites.command("list")
@data_option
def list_(*, data: Path | None) -> None:
    """List the satellites, with the age of what they fly by.

    \b
    Example:
      overflight satellites list
    """
    now = datetime.now(UTC).timestamp()
    from tasking.ageing import Ageing

    fleet = _fleet(data).satellites()
    if not fleet:
        click.echo("no satellites yet; `overflight satellites import FILE` brings some", err=True)
        return
    click.echo("id                    number  epoch             age      ±along track  GSD       swath    off nadir")
    for one in fleet:
        old = Ageing.of(one.elements, now)
        click.echo(
            f"{one.id:20.20s}  {one.elements.number:>6s}  {one.elements.epoch:%Y-%m-%dT%H:%M}  {old.age_days:6.1f} d  "
            f"{old.along_track_m / 1e3:9.1f} km  {one.sensor.gsd_m:6.2f} m  {one.sensor.swath_m / 1e3:5.1f} km  "
            f"{one.agility.max_off_nadir_deg:5.1f}°"
        )


@satellites.command()
@click.argument("satellite_id", metavar="ID")
@data_option
def show(*, satellite_id: str, data: Path | None) -> None:
    """Print one satellite as JSON, with every element set that came in, the newest first.

    \b
    Example:
      overflight satellites show sandbox-1
    """
    from tasking.satellite_document import satellite_document

    fleet = _fleet(data)
    history = [
        {
            "epoch": kept.elements.epoch.isoformat(),
            "added": kept.added.isoformat(),
            "elements": [kept.elements.line1, kept.elements.line2],
        }
        for kept in fleet.history(satellite_id)
    ]
    click.echo(json.dumps({**satellite_document(fleet.satellite(satellite_id)), "history": history}, indent=2))


@satellites.command("import")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--like", metavar="ID", help="Add unknown satellites of a file of element sets, equipped like this one.")
@data_option
def import_(*, source: Path, like: str | None, data: Path | None) -> None:
    """Read satellites and stations (JSON, as `export` writes it), or element sets (TLE, or OMM as JSON, XML, CSV).

    Element sets go to the satellites of their catalog numbers; others are left out, or with --like become satellites.
    ``sandbox-1`` is always there to be like. All of a file comes in, or none of it.

    \b
    Examples:
      overflight satellites import fleet.json
      overflight satellites import elements.tle
      overflight satellites import elements.tle --like sandbox-1
    """
    from tasking.fleet_file import read_fleet_file

    text = sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8", errors="replace")
    file, fleet, now = read_fleet_file(text), _fleet(data), datetime.now(UTC)
    new: tuple[Satellite, ...] = file.satellites
    if like is not None:
        new += file.equipped_like(_pattern(fleet, like), {one.elements.number for one in fleet.satellites()})
    fleet.put(new, now=now)
    fleet.put_stations(file.stations)
    added = {one.elements.number for one in new}
    update = fleet.update([one for _, one in file.sets if one.number not in added], now=now)
    click.echo(
        f"{len(new)} satellites, {len(file.stations)} stations; newer elements for {len(update.newer)} satellites, "
        f"{len(update.older)} sets not newer, {update.foreign} of satellites that are not in the fleet"
    )


@satellites.command()
@click.argument("satellite_ids", metavar="[ID]...", nargs=-1)
@click.option("--format", "form", type=click.Choice(("json", "tle", "omm")), default="json", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File.  [default: the screen]")
@data_option
def export(*, satellite_ids: tuple[str, ...], form: str, output: Path | None, data: Path | None) -> None:
    """Write the fleet, or some satellites of it, as JSON; or only its newest element sets, as TLE or OMM.

    \b
    Examples:
      overflight satellites export -o fleet.json
      overflight satellites export --format omm
    """
    from tasking.fleet_file import write_elements, write_fleet_file

    fleet = _fleet(data)
    chosen = tuple(fleet.satellite(one) for one in satellite_ids) or fleet.satellites()
    stations = () if satellite_ids else fleet.stations()
    text = write_fleet_file(chosen, stations) if form == "json" else write_elements(chosen, form)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)


@satellites.command()
@click.argument("satellite_id", metavar="ID")
@data_option
def remove(*, satellite_id: str, data: Path | None) -> None:
    """Take a satellite out of the fleet, with its history.

    \b
    Example:
      overflight satellites remove sandbox-1
    """
    _fleet(data).remove(satellite_id)
    click.echo(f"removed {satellite_id}")


def _fleet(data: Path | None) -> "Fleet":
    from api.catalog_store import data_folder
    from tasking.store import Store

    store = Store(f"sqlite:///{data_folder(settings_of(data=data)) / 'tasking.db'}")
    store.migrate()
    return store.fleet


def _pattern(fleet: "Fleet", like: str) -> Any:  # noqa: ANN401 - a Satellite, imported late
    from tasking.provider.sandbox.constellation import SATELLITES

    return next((one for one in SATELLITES if one.id == like), None) or fleet.satellite(like)
