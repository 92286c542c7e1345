"""The command line. What a command needs is imported inside it, so that ``--help`` answers at once."""

import logging
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import NoArgsIsHelpError

from api.commands.accuracy import accuracy
from api.commands.batch import batch
from api.commands.catalog import catalog
from api.commands.mosaic import mosaic
from api.commands.order import order
from api.commands.ortho import ortho
from api.commands.pansharpen import pansharpen
from api.commands.plan import plan
from api.commands.progress import ProgressBars
from api.commands.satellites import satellites
from api.commands.settings import data_option, settings_of

if TYPE_CHECKING:
    from api.installation import Installation

EXPECTED_MODULES = {"catalog.errors", "processing.errors", "tasking.errors", "sqlite3", "sqlalchemy.exc"}
"""Errors of these kinds tell the user what was wrong and what would be right; everything else is our bug."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="overflight", prog_name="overflight")
def cli() -> None:
    """Order a picture of a place on Earth; get an analysis-ready scene in a STAC catalog.

    \b
    Start here:
      overflight demo                         one order from request to catalog, in a minute
      overflight serve                        console, STAPI and STAC on http://127.0.0.1:8000
      overflight order submit --point 5.28 44.17 --size-km 5 --within 3d
      overflight ortho scene.tif --dem srtm.tif --dem-datum ellipsoid -o ortho.tif

    Everything that an installation keeps lies in one folder, --data (default ./var). Settings also come from the
    environment: OVERFLIGHT_DATA, OVERFLIGHT_PORT, OVERFLIGHT_DEM and the like; docs/operating.md lists them.
    """


cli.add_command(accuracy)
cli.add_command(batch)
cli.add_command(catalog)
cli.add_command(mosaic)
cli.add_command(order)
cli.add_command(ortho)
cli.add_command(pansharpen)
cli.add_command(plan)
cli.add_command(satellites)


@cli.command()
@data_option
@click.option("--host", help="Address to listen on; 0.0.0.0 for every interface.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option(
    "--worker/--no-worker", "embedded_worker", default=None, help="Carry out the orders too.  [default: --worker]"
)
def serve(*, data: Path | None, host: str | None, port: int | None, embedded_worker: bool | None) -> None:
    """Run the console, the interfaces and a worker.

    A second start on the same folder goes on where the first one ended; more workers may run beside it.

    \b
    Examples:
      overflight serve
      overflight serve --data /srv/overflight --host 0.0.0.0 --port 80
      overflight serve --no-worker            and, elsewhere: overflight worker
    """
    settings = settings_of(data=data, host=host, port=port, embedded_worker=embedded_worker)
    from api.server import serve as run

    run(settings, announce=lambda address: click.echo(f"Overflight on {address}  (end with Ctrl+C)", err=True))


@cli.command()
@data_option
def worker(data: Path | None) -> None:
    """Carry out orders without serving them: beside a server, or as many as there are machines' worth of work.

    \b
    Example:
      overflight worker --data /srv/overflight
    """
    settings = settings_of(data=data)
    from api.server import configure_logging

    configure_logging(settings)
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    with _installation(settings) as installation:
        click.echo(f"working on {installation.data}  (end with Ctrl+C)", err=True)
        installation.worker().run(stop)


@cli.command()
@click.argument("delivery")
@data_option
def ingest(delivery: str, data: Path | None) -> None:
    """Bring a vendor's delivery into the catalog and print its item's id.

    DELIVERY is a folder with a delivery.json, or the name of one in DATA/inbox/drop. It is accepted whole and checked,
    or refused whole: then the reason is told, and a delivery from the drop folder moves to DATA/inbox/rejects.

    \b
    Examples:
      overflight ingest ~/Downloads/pleiades-ventoux
      OVERFLIGHT_DEM=N44E005.hgt OVERFLIGHT_DEM_DATUM=EGM96 OVERFLIGHT_GEOID=egm96_15.gtx \\
          overflight ingest pleiades-ventoux --data /srv/overflight
    """
    settings = settings_of(data=data)
    from api.ingest import ingest as run

    logging.getLogger("overflight").addHandler(logging.NullHandler())  # what matters is told at the end, in one line

    with _installation(settings) as installation, ProgressBars() as bars:
        item = run(installation, delivery, progress=bars)
    click.echo(item)


@cli.command()
@data_option
@click.option("--requeue", type=int, multiple=True, metavar="ID", help="Open a dead step again, due at once.")
def steps(data: Path | None, requeue: tuple[int, ...]) -> None:
    """Show the work still to do, and the dead steps: those that failed so often that a person should look.

    \b
    Examples:
      overflight steps
      overflight steps --requeue 17
    """
    settings = settings_of(data=data)
    with _installation(settings) as installation:
        for step_id in requeue:
            if not installation.store.requeue(step_id, now=datetime.now(UTC)):
                raise click.ClickException(f"step {step_id} is not dead; `overflight steps` lists those that are")
            click.echo(f"step {step_id} is open again", err=True)
        for state, found in (("open", installation.store.open_steps()), ("dead", installation.store.dead_steps())):
            for step in found:
                due = f"due {step.due:%Y-%m-%d %H:%M:%S}Z" if state == "open" else ""
                error = step.error.splitlines()[0] if step.error else ""
                click.echo(f"{step.id:>6}  {state:<4}  {step.key}  {due}  {error}".rstrip())


@cli.command()
@data_option
def migrate(data: Path | None) -> None:
    """Bring the tables of a data folder up to date. `serve` and `worker` do it too when they start.

    \b
    Example:
      overflight migrate --data /srv/overflight
    """
    settings = settings_of(data=data)
    with _installation(settings) as installation:
        click.echo(f"{installation.data} is up to date")


@cli.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for the demo; one of an earlier demo is started afresh.",
)
def demo(data: Path) -> None:
    """Follow one order on the sandbox from request to catalog, and measure what came out.

    \b
    Example:
      overflight demo && overflight serve --data demo
    """
    from api.demo import run

    run(data)


def _installation(settings: Any) -> "Installation":  # noqa: ANN401 - pydantic is imported late
    from api.installation import Installation

    return Installation.open(settings)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit status 1, a misuse 2."""
    try:
        sys.exit(cli(standalone_mode=False))
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "overflight"
        click.echo(f"overflight: {' '.join(error.format_message().split())} ({path} --help tells how)", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except Exception as error:
        if not _is_expected(error):
            raise
        click.echo(f"overflight: {_one_line(error)}", err=True)
        sys.exit(1)


def _is_expected(error: BaseException) -> bool:
    """Errors of the rooms, of the system, and of a database that is locked, damaged or full."""
    if isinstance(error, OSError | click.ClickException):
        return True
    return not EXPECTED_MODULES.isdisjoint(kind.__module__ for kind in type(error).__mro__)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return text or type(error).__name__


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "110")
    main()
