"""An accuracy report as tables of words: for a terminal, and for the page."""

from typing import Final

from processing.accuracy import AccuracyReport
from processing.error_statistics import PlanarErrors

NAME_CHARACTERS: Final = 44

LIMITS: Final = {"coregistration_nmad_px": "NMAD, px", "ce90_m": "CE90, m"}
"""What a limit is called."""

Row = tuple[str, ...]
"""Cells of a table; the first row is its head."""

HEAD: Final[Row] = (
    "measured", "n", "median E, N m", "NMAD E, N m", "RMSE m", "CE90 m", "NMAD px", "across px",
)  # fmt: skip


def figures(report: AccuracyReport) -> list[Row]:
    """Every number of the report."""
    rows: list[Row] = [HEAD]
    checks = report.check_points
    if checks:
        rows.append(("check points, sensor model", *_spread(checks.model), "–", "–"))
        if checks.product:
            rows.append(("check points, on the DEM", *_spread(checks.product), "–", "–"))
    for one in report.coregistrations:
        name = f"against {short(one.against, 24)}"
        if one.errors is None:
            said = f"too few of {one.windows} windows" if one.windows else "no window in common"
            rows.append((name, f"{len(one.vectors)}", said, *("",) * 5))
        else:
            rows.append((name, *_spread(one.errors), number(one.nmad_px), number(one.nmad_across_px)))
    if report.refinement and report.refinement.rmse_m is not None:
        refined = report.refinement
        rows.append(
            ("control points, held out", f"{refined.fitted}", "–", "–", number(refined.rmse_m),
             number(refined.ce90_m), "–", "–")
        )  # fmt: skip
    return rows if len(rows) > 1 else [*rows, ("nothing", *("–",) * 7)]


def _spread(errors: PlanarErrors) -> Row:
    return (
        f"{errors.count}",
        f"{number(errors.median_east_m, '+')}, {number(errors.median_north_m, '+')}",
        f"{number(errors.nmad_east_m)}, {number(errors.nmad_north_m)}",
        number(errors.rmse_m),
        number(errors.ce90_m),
    )


def provenance(report: AccuracyReport) -> list[Row]:
    """What the product, and the report, stand on."""
    heights, refined, checks = report.heights, report.refinement, report.check_points
    fits = "; ".join(
        f"{fit.raster} {fit.rms_px:.2g} px rms" + (f", {fit.max_px:.2g} at most" if fit.max_px is not None else "")
        for fit in report.sensor_fits
    )
    moved = f"{refined.model} to {refined.fitted} control points, {refined.rejected} rejected" if refined else ""
    over = heights.vertical_datum + (f" ({short(heights.geoid, 24)})" if heights.geoid else "") if heights else ""
    matched = "; ".join(
        f"{len(one.vectors)} of {one.windows} windows of {one.window_px} px, {one.outliers} outliers"
        for one in report.coregistrations
    )
    lines = "; ".join(
        f"{one.errors.axis_deg:.0f}° from north: NMAD {number(one.errors.nmad_along_m)} m, across it "
        f"{number(one.errors.nmad_across_m)} m"
        for one in report.coregistrations
        if one.errors
    )
    dem = (
        f"median {checks.dem_median_m:+.2g} m, NMAD {number(checks.dem_nmad_m)} m"
        if checks and checks.dem_median_m is not None
        else ""
    )
    rows: list[Row] = [
        ("stands on", ""),
        ("sensor model", fits or "fit to the rigorous one not told"),
        ("refined by", moved or "–"),
        ("DEM", short(heights.dem) if heights else "not told"),
        ("heights over", over or "not told"),
        ("DEM at check points", dem or "–"),
        ("hidden pixels", f"{report.occluded_pct:.2f} %" if report.occluded_pct is not None else "not looked for"),
        ("matched", short(matched or "–", 60)),
        ("errors lie along", short(lines or "–", 60)),
        ("measured with", ", ".join(f"{name} {version}" for name, version in report.software.items()) or "–"),
    ]
    return rows


def number(value: float | None, sign: str = "") -> str:
    """Three digits, of small numbers three decimals; a dash for what was not measured."""
    if value is None:
        return "–"
    return f"{value:{sign}.3f}" if abs(value) < 0.1 else f"{value:{sign}.3g}"


def short(name: str, most: int = NAME_CHARACTERS) -> str:
    """A name cut to so many characters."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
