"""`overflight accuracy`: how well an orthoimage agrees with the ground and with other orthoimages."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from api.commands.ortho import EXISTING

if TYPE_CHECKING:
    from processing.accuracy import AccuracyReport, CheckPoints
    from processing.accuracy_table import Row
    from processing.dem import Dem
    from processing.refine import ControlPoint, Refinement


@click.command()
@click.argument("ortho", type=EXISTING, metavar="ORTHO")
@click.option(
    "--against",
    type=EXISTING,
    multiple=True,
    metavar="OTHER",
    help="Another orthoimage of some of the same ground, on any grid; give it again for more.",
)
@click.option(
    "--check",
    type=EXISTING,
    metavar="FILE",
    help="Check points, as ground control points are given to `ortho --gcps`; row and col are those of --raw.",
)
@click.option("--check-datum", metavar="NAME", help="What their heights are over; --geoid serves all heights.")
@click.option("--raw", type=EXISTING, metavar="SCENE", help="The raw scene that ORTHO was made of.")
@click.option("--rpc", type=EXISTING, metavar="FILE", help="Its sensor model.  [default: the one beside it or inside]")
@click.option("--gcps", type=EXISTING, metavar="FILE", help="Control points, if ORTHO was made with some.")
@click.option("--gcps-datum", metavar="NAME", help="What their heights are over.")
@click.option("--refine", "model", type=click.Choice(["shift", "affine"]), default="shift", show_default=True)
@click.option("--dem", type=EXISTING, help="The DEM that ORTHO was made on; check points judge it too.")
@click.option("--dem-datum", metavar="NAME", help="What its heights are over: ellipsoid, EGM96, EGM2008 …")
@click.option("--geoid", type=EXISTING, metavar="GRID", help="Geoid undulations, unless a datum is ellipsoid.")
@click.option("--mask", type=EXISTING, metavar="MASK", help="Its quality mask, for the share of hidden pixels.")
@click.option("--band", type=click.IntRange(1), metavar="N", help="Of ORTHO.  [default: the mean of all]")
@click.option("--other-band", type=click.IntRange(1), metavar="N", help="Of the others.  [default: likewise]")
@click.option("--window", type=click.IntRange(16, 512), default=48, show_default=True, metavar="PX", help="To match.")
@click.option(
    "--search", type=click.IntRange(2, 256), default=16, show_default=True, metavar="PX", help="Largest shift."
)
@click.option("--max-nmad-px", type=float, metavar="PX", help="Fail where the orthoimages agree less.")
@click.option("--max-ce90-m", type=float, metavar="M", help="Fail where the ground is missed by more.")
@click.option("--json", "as_json", is_flag=True, help="Write the whole report as JSON.")
@click.option(
    "--picture", type=click.Path(dir_okay=False, path_type=Path), metavar="PNG", help="Draw it all on one page."
)
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="[default: one for each processor]")
def accuracy(
    *,
    ortho: Path,
    against: tuple[Path, ...],
    check: Path | None,
    check_datum: str | None,
    raw: Path | None,
    rpc: Path | None,
    gcps: Path | None,
    gcps_datum: str | None,
    model: Literal["shift", "affine"],
    dem: Path | None,
    dem_datum: str | None,
    geoid: Path | None,
    mask: Path | None,
    band: int | None,
    other_band: int | None,
    window: int,
    search: int,
    max_nmad_px: float | None,
    max_ce90_m: float | None,
    as_json: bool,
    picture: Path | None,
    threads: int | None,
) -> None:
    """Measure how well an orthoimage agrees with the ground, and with other orthoimages of it.

    Against others: windows all over what both show are matched to a fraction of a pixel. Against the ground: check
    points that the sensor model has not seen. docs/accuracy.md defines every figure. Where a limit is set and not met,
    or nothing was measured to meet it, the command ends with 1.

    \b
    Examples:
      overflight accuracy monday.tif --against tuesday.tif --picture report.png
      overflight accuracy monday.tif --against tuesday.tif --against map.tif --max-nmad-px 0.5 --json
      overflight accuracy ortho.tif --check points.csv --check-datum EGM96 --raw left.tif \\
          --dem N44E005.hgt --dem-datum EGM96 --geoid egm96_15.gtx --max-ce90-m 5
    """
    _check_options(
        against=against, check=check, check_datum=check_datum, raw=raw, gcps=gcps, gcps_datum=gcps_datum, dem=dem,
        dem_datum=dem_datum, picture=picture, sources=(ortho, *against, raw, dem, mask),
    )  # fmt: skip
    from api.commands.progress import ProgressBars
    from processing.accuracy_document import to_document
    from processing.accuracy_files import occluded_pct, report_of, software
    from processing.accuracy_picture import write_picture
    from processing.coregistration import coregister
    from processing.dem import Dem

    heights = Dem.open(dem, vertical_datum=dem_datum, geoid=_geoid(str(dem_datum), geoid)) if dem else None
    refined, checked = None, None
    if raw is not None:
        control = _points(gcps, gcps_datum, geoid) if gcps else ()
        checks = _points(check, check_datum, geoid) if check else ()
        refined, checked = _judge(raw, rpc, control, checks, model=model, dem=heights, source=check)
    with ProgressBars() as bars:
        found = [
            coregister(
                ortho, other, band=band, other_band=other_band, window_px=window, search_px=search, threads=threads,
                progress=bars,
            )
            for other in against
        ]  # fmt: skip
        hidden = None
        if mask is not None:
            bars("count hidden pixels", 0, 1)
            hidden = occluded_pct(mask)
            bars("count hidden pixels", 1, 1)
    report = report_of(
        ortho.name,
        ortho,
        refinement=refined,
        dem=heights,
        occluded_pct=hidden,
        check_points=checked,
        coregistrations=found,
        max_nmad_px=max_nmad_px,
        max_ce90_m=max_ce90_m,
        software=software(),
    )
    if picture is not None:
        write_picture(report, ortho, picture)
    if as_json:
        import json

        click.echo(json.dumps(to_document(report), ensure_ascii=False))
    else:
        _tell(report)
    _end(report)


def _check_options(
    *,
    against: tuple[Path, ...],
    check: Path | None,
    check_datum: str | None,
    raw: Path | None,
    gcps: Path | None,
    gcps_datum: str | None,
    dem: Path | None,
    dem_datum: str | None,
    picture: Path | None,
    sources: Sequence[Path | None],
) -> None:
    if not against and check is None and gcps is None:
        raise click.UsageError("nothing to measure by; give --against another orthoimage, or --check points")
    for name, file, datum in (("check", check, check_datum), ("gcps", gcps, gcps_datum), ("dem", dem, dem_datum)):
        if (file is None) != (datum is None):
            raise click.UsageError(
                f"--{name} and --{name}-datum belong together: what heights are over is never guessed"
            )
    if (check or gcps) and raw is None:
        raise click.UsageError("points are measured in the raw scene; name it with --raw")
    for source in sources:
        if picture is not None and picture.exists() and source is not None and picture.samefile(source):
            raise click.UsageError(f"{picture} is one of the images themselves; name another picture")


def _geoid(datum: str, geoid: Path | None) -> Path | None:
    """One geoid serves all heights that need it."""
    from processing.datum import ELLIPSOID

    return None if datum.strip().lower() == ELLIPSOID else geoid


def _points(path: Path, datum: str | None, geoid: Path | None) -> "tuple[ControlPoint, ...]":
    from processing.control import read_control
    from processing.datum import VerticalDatum

    return read_control(path, datum=VerticalDatum.of(datum, _geoid(str(datum), geoid)))


def _judge(
    raw: Path,
    rpc: Path | None,
    control: "Sequence[ControlPoint]",
    checks: "Sequence[ControlPoint]",
    *,
    model: Literal["shift", "affine"],
    dem: "Dem | None",
    source: Path | None,
) -> "tuple[Refinement | None, CheckPoints | None]":
    """The sensor model as the orthoimage has it, by points that it has not seen."""
    from processing.checkpoints import check_independent, measure_checks
    from processing.graph import RawRaster
    from processing.refine import refine

    raster = RawRaster.open(raw, rpc=rpc)
    check_independent(checks, control)
    refined = refine(raster.rpc, control, model=model) if control else None
    if refined:
        raster = replace(raster, rpc=refined.rpc)
    if not checks or source is None:
        return refined, None
    return refined, measure_checks(raster.rpc, checks, source=source.name, dem=dem)


def _tell(report: "AccuracyReport") -> None:
    """The tables, and then what follows from them."""
    from processing.accuracy_table import LIMITS, figures, number, provenance, short

    click.echo(f"{report.product}: {short(report.crs)}, pixels of {report.resolution_m:.3g} m\n")
    _echo(figures(report))
    click.echo()
    _echo([row for row in provenance(report) if row[1] not in ("–", "not told")])
    for limit in report.limits:
        word = "yes" if limit.is_met else "NO"
        click.echo(f"{LIMITS[limit.figure]}: {number(limit.value)}, at most {limit.limit:g}: {word}")


def _echo(rows: "Sequence[Row]") -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _end(report: "AccuracyReport") -> None:
    from processing.accuracy_table import LIMITS, number

    missed = [one for one in report.limits if not one.is_met]
    if missed:
        told = "; ".join(
            f"{LIMITS[one.figure]} {number(one.value)}, at most {one.limit:g} was asked"
            if one.value is not None
            else f"{LIMITS[one.figure]} was not measured, though at most {one.limit:g} was asked"
            for one in missed
        )
        raise click.ClickException(f"{report.product}: {told}")
