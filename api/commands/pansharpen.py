"""`overflight pansharpen`: the colours of a coarse orthoimage on the pixels of a sharp one."""

from pathlib import Path
from typing import Literal

import click

from api.commands.ortho import EXISTING


@click.command()
@click.argument("pan", type=EXISTING, metavar="PAN")
@click.argument("bands", type=EXISTING, metavar="BANDS")
@click.option(
    "--method",
    type=click.Choice(["brovey", "glp-hpm", "glp-cbd"]),
    default="glp-hpm",
    show_default=True,
    help="brovey keeps the colours' angles; glp-hpm and glp-cbd add only the detail that the bands lack.",
)
@click.option(
    "--weights",
    metavar="W,…",
    help="Of each band in the pan, for brovey.  [default: fitted to the whole scene]",
)
@click.option("--resampling", type=click.Choice(["bilinear", "cubic"]), default="cubic", show_default=True)
@click.option("--compress", type=click.Choice(["zstd", "deflate", "none"]), default="zstd", show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="[default: one for each processor]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="OUT")
def pansharpen(
    *,
    pan: Path,
    bands: Path,
    method: str,
    weights: str | None,
    resampling: str,
    compress: Literal["zstd", "deflate", "none"],
    threads: int | None,
    output: Path,
) -> None:
    """Sharpen orthorectified BANDS by an orthorectified panchromatic image PAN of the same CRS.

    \b
    Examples:
      overflight pansharpen pan.tif multispectral.tif -o sharp.tif
      overflight pansharpen pan.tif multispectral.tif --method brovey --weights 0.2,0.3,0.3,0.2 -o sharp.tif
    """
    if output.exists() and (output.samefile(pan) or output.samefile(bands)):
        raise click.UsageError(f"{output} is one of the images themselves; name another output")
    if weights is not None and method != "brovey":
        raise click.UsageError("--weights are for --method brovey; the others take theirs from the scene")
    try:
        given = tuple(float(part) for part in weights.split(",")) if weights else ()
    except ValueError:
        raise click.UsageError(
            f"--weights: {weights!r} are no numbers; give one a band, as 0.25,0.25,0.25,0.25"
        ) from None
    from api.commands.progress import ProgressBars
    from processing.pansharpen import pansharpen as sharpen
    from processing.sharpen import Recipe

    recipe = Recipe(method=method, resampling=resampling, weights=given, offsets=(0.0,) if given else ())
    with ProgressBars() as bars:
        made = sharpen(pan, bands, output, recipe=recipe, compress=compress, threads=threads, progress=bars)
    size = f"{made.profile.width} × {made.profile.height} pixels, {made.profile.bands} bands"
    click.echo(f"{output}: {size} by {method}", err=True)
