"""`overflight batch`: many raw scenes onto the map, on this machine or on a cluster."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from api.commands.heights import heights_options, open_heights
from api.commands.ortho import EXISTING

if TYPE_CHECKING:
    from distributed import Client

    from processing.batch import BatchScene

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("scenes", type=EXISTING, nargs=-1, required=True, metavar="SRC…")
@heights_options(required=True, of="every scene")
@click.option("--crs", metavar="EPSG:n", help="CRS of the outputs.  [default: the UTM zone of each scene's centre]")
@click.option(
    "--resolution", type=float, metavar="R", help="Pixel size in units of the CRS.  [default: each scene's own]"
)
@click.option(
    "--resampling",
    type=click.Choice(["nearest", "bilinear", "cubic", "lanczos", "average"]),
    default="bilinear",
    show_default=True,
)
@click.option("--compress", type=click.Choice(["zstd", "deflate", "none"]), default="zstd", show_default=True)
@click.option(
    "--cluster", metavar="ADDRESS", help="A dask scheduler, tcp://host:8786, whose workers see the same files."
)
@click.option(
    "--threads", type=click.IntRange(1, 1024), metavar="N", help="Of this machine.  [default: its processors]"
)
@click.option("--skip-existing", is_flag=True, help="Leave out scenes whose output is there: go on where a run ended.")
@click.option("-o", "--output", type=FOLDER, required=True, metavar="DIR", help="SRC becomes DIR/SRC's name.tif")
def batch(
    *,
    scenes: tuple[Path, ...],
    dem: str,
    dem_datum: str,
    geoid: Path | None,
    fill_height: float | None,
    crs: str | None,
    resolution: float | None,
    resampling: str,
    compress: Literal["zstd", "deflate", "none"],
    cluster: str | None,
    threads: int | None,
    skip_existing: bool,
    output: Path,
) -> None:
    """Orthorectify many raw scenes, each into a Cloud-Optimized GeoTIFF of its own.

    The name of each file is printed when it is whole. A scene that cannot be made is told with its reason and the
    others go on; the exit status is 1 then.

    \b
    Examples:
      overflight batch raw/*.tif --dem dem.tif --dem-datum ellipsoid -o ortho
      overflight batch raw/*.tif --dem dem.tif --dem-datum ellipsoid -o ortho --skip-existing
      overflight batch raw/*.tif --dem dem.tif --dem-datum ellipsoid -o ortho --cluster tcp://10.0.0.5:8786
    """
    if cluster is not None and threads is not None:
        raise click.UsageError("--threads is of this machine, --cluster has its own; give one of the two")
    todo = _named(scenes, output)
    if skip_existing:
        todo = [one for one in todo if not (output / one.name).exists()]
    from api.commands.progress import ProgressBars
    from processing.batch import BatchOptions, orthorectify_many

    heights = open_heights(dem, dem_datum, geoid and geoid.resolve(), fill_height)
    options = BatchOptions(dem=heights, crs=crs, resolution=resolution, resampling=resampling, compress=compress)
    failed = 0
    with ExitStack() as stack:
        client = None if cluster is None else stack.enter_context(_client(cluster))
        bars = stack.enter_context(ProgressBars())
        for made in orthorectify_many(
            todo, options, folder=output.resolve(), client=client, threads=threads, progress=bars
        ):
            if made.error is None:
                click.echo(output / made.scene.name)
            else:
                failed += 1
                click.echo(f"{made.scene.path}: {' '.join(made.error.split())}", err=True)
    if failed:
        raise click.ClickException(f"{failed} of {len(todo)} scenes could not be made; the lines above say why")


def _named(scenes: tuple[Path, ...], output: Path) -> "list[BatchScene]":
    """Each with the name of its output; no two have one, and none is a scene itself."""
    from processing.batch import BatchScene

    found: dict[str, Path] = {}
    for scene in scenes:
        name = f"{scene.stem}.tif"
        if name in found:
            raise click.UsageError(f"{found[name]} and {scene} would both become {name}; make them in two runs")
        if (output / name).exists() and any((output / name).samefile(one) for one in scenes):
            raise click.UsageError(f"{output / name} is one of the scenes themselves; name another folder")
        found[name] = scene
    return [BatchScene(path=scene.resolve(), name=name) for name, scene in found.items()]


def _client(address: str) -> "Client":
    from distributed import Client

    try:
        return Client(address, timeout=20, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise click.ClickException(f"--cluster {address}: no scheduler answers there ({reason})") from None
