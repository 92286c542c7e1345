"""The options by which commands are given heights of the ground."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from processing.dem import Dem


def heights_options(
    *, required: bool, of: str = "the whole scene"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--dem``, ``--dem-datum``, ``--geoid`` and ``--fill-height`` to a command; `open_heights` reads them."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(
            (
                click.option(
                    "--dem",
                    required=required,
                    metavar="DEM",
                    help="Heights of the ground: a file, a folder of tiles, a pattern in quotes, or s3://bucket/…; "
                    f"they cover {of}.",
                ),
                click.option(
                    "--dem-datum",
                    required=required,
                    metavar="NAME",
                    help="What the DEM's heights are over: ellipsoid, EGM96, EGM2008, EPSG:5720 … Never guessed: a "
                    "wrong one is up to 100 m.",
                ),
                click.option(
                    "--geoid",
                    type=click.Path(dir_okay=False, path_type=Path),
                    metavar="GRID",
                    help="The geoid's undulations.  [default: the grid that PROJ has for the datum on this machine]",
                ),
                click.option(
                    "--fill-height",
                    type=float,
                    metavar="M",
                    help="Height, over the same datum, of ground that the DEM does not know.  [default: such ground is "
                    "an error]",
                ),
            )
        ):
            command = option(command)
        return command

    return add


def open_heights(dem: str, dem_datum: str, geoid: Path | None, fill_height: float | None) -> "Dem":
    """The DEM that was given.

    Raises
    ------
    HeightsError
        It cannot be used as it is.
    """
    from api.buckets import dem_source
    from api.settings import Settings
    from processing.dem import Dem

    return Dem.open(dem_source(dem, Settings().cache), vertical_datum=dem_datum, geoid=geoid, fill_height=fill_height)
