"""`overflight mosaic`: overlapping orthoimages as one."""

from pathlib import Path
from typing import Literal

import click

from api.commands.ortho import EXISTING


@click.command()
@click.argument("scenes", type=EXISTING, nargs=-1, required=True, metavar="SCENE…")
@click.option(
    "--seams/--no-seams", default=True, show_default=True, help="Divide overlaps where the scenes differ least."
)
@click.option(
    "--feather", type=click.IntRange(0, 512), default=0, metavar="PX", help="Blend over so many pixels at seams."
)
@click.option("--balance", is_flag=True, help="Bring the scenes' tones together first.")
@click.option(
    "--bounds",
    type=float,
    nargs=4,
    metavar="XMIN YMIN XMAX YMAX",
    help="Extent of the mosaic in units of the CRS.  [default: all scenes]",
)
@click.option(
    "--index",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write which scene each pixel is from, counted from 1.",
)
@click.option("--compress", type=click.Choice(["zstd", "deflate", "none"]), default="zstd", show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="[default: one for each processor]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="OUT")
def mosaic(
    *,
    scenes: tuple[Path, ...],
    seams: bool,
    feather: int,
    balance: bool,
    bounds: tuple[float, float, float, float] | None,
    index: Path | None,
    compress: Literal["zstd", "deflate", "none"],
    threads: int | None,
    output: Path,
) -> None:
    """Put orthoimages of one CRS and one grid together; the first of two that overlap is preferred.

    \b
    Examples:
      overflight mosaic monday.tif tuesday.tif -o both.tif
      overflight mosaic *.tif --balance --feather 32 --index from.tif -o all.tif
    """
    for scene in scenes:
        if output.exists() and output.samefile(scene):
            raise click.UsageError(f"{output} is one of the scenes themselves; name another output")
    from api.commands.progress import ProgressBars
    from processing.layers import MosaicScene
    from processing.mosaic import mosaic as compose

    with ProgressBars() as bars:
        made = compose(
            [MosaicScene(path=scene) for scene in scenes],
            output,
            bounds=bounds,
            seams=seams,
            feather_px=feather,
            balanced=balance,
            index=index,
            compress=compress,
            threads=threads,
            progress=bars,
        )
    click.echo(f"{output}: {made.profile.width} × {made.profile.height} pixels of {len(scenes)} scenes", err=True)
