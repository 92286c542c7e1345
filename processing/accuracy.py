"""How accurate a product is: what was measured, and against what.

Errors are *product − truth* (or − the other scene), metres on the ground to the east and to the north; how they are
summed up stands in `processing.error_statistics`. What was not measured is None, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self

from processing.error_statistics import PlanarErrors
from processing.refine import Refinement

NSSDA: Final = 1.7308
"""Of the radial RMSE (FGDC-STD-007.3-1998, appendix 3-A)."""

NSSDA_POINTS: Final = 20
"""So many check points the standard asks for at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFit:
    """How well the delivered sensor model stands for the vendor's rigorous one, as the vendor says."""

    raster: str
    """Which raster of the scene: ``panchromatic``."""

    rms_px: float
    max_px: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefinementFigures:
    """How well the sensor model meets control points after it was moved to them."""

    model: Literal["shift", "affine"]
    fitted: int
    """Control points that it stands on."""

    rejected: int
    """Those that contradict the others."""

    check: Literal["points", "leave-one-out"]
    """What the figures stand on: points left out of the fit, else each fitted point by the model of all others."""

    rmse_before_px: float
    rmse_px: float | None
    rmse_m: float | None
    ce90_m: float | None

    @classmethod
    def of(cls, refinement: Refinement) -> Self:
        """The figures of a refinement."""
        uses = [point.use for point in refinement.points]
        return cls(
            model=refinement.model,
            fitted=uses.count("fitted"),
            rejected=uses.count("rejected"),
            check=refinement.check,
            rmse_before_px=refinement.rmse_before_px,
            rmse_px=refinement.rmse_px,
            rmse_m=refinement.rmse_m,
            ce90_m=refinement.ce90_m,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightSource:
    """The heights under an orthoimage."""

    dem: str
    """Name of the file."""

    vertical_datum: str
    """``ellipsoid``, ``EGM96`` …"""

    geoid: str | None = None
    """Name of the geoid's grid; None over the ellipsoid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPointError:
    """One check point."""

    id: str
    lon: float
    lat: float
    row_px: float
    """Where the image shows it − where the sensor model sees it, as is `col_px`."""

    col_px: float
    model_east_m: float
    """Of the sensor model alone: its ray, at the point's own height."""

    model_north_m: float
    product_east_m: float | None = None
    """Of the orthoimage: the ray where it meets the DEM; None without one, or where it meets none."""

    product_north_m: float | None = None
    dem_m: float | None = None
    """Height of the DEM − that of the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPoints:
    """Points whose place is known, none of which the sensor model was fitted to."""

    source: str
    """Name of the file."""

    points: tuple[CheckPointError, ...]
    rmse_px: float
    """Radial, in the raw image."""

    model: PlanarErrors
    """Of the sensor model alone."""

    product: PlanarErrors | None
    """Of the orthoimage, errors of the DEM included; None without a DEM."""

    dem_median_m: float | None
    """Of the DEM's heights at the points, as are the two below."""

    dem_nmad_m: float | None
    dem_rmse_m: float | None

    @property
    def errors(self) -> PlanarErrors:
        """What the product is judged by."""
        return self.product or self.model

    @property
    def nssda_m(self) -> float | None:
        """Accuracy at 95 % by the NSSDA; None of fewer points than it asks for."""
        errors = self.errors
        return NSSDA * errors.rmse_m if errors.count >= NSSDA_POINTS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One window of two orthoimages: how far the product shows the ground from where the other one does."""

    lon: float
    lat: float
    east_m: float
    north_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coregistration:
    """How well an orthoimage agrees with another of the same ground."""

    against: str
    """Name of the other file."""

    resolution_m: float
    """Side, on the ground, of the pixels that were matched: those of the coarser of the two."""

    window_px: int
    """Rows and columns of a window."""

    windows: int
    """How many were tried: those that both show whole."""

    outliers: int
    """Matches that contradict all their neighbours, and are in none of the figures."""

    vectors: tuple[Vector, ...]
    """The windows that matched."""

    errors: PlanarErrors | None
    """Of these; None of too few."""

    @property
    def matched_pct(self) -> float:
        """Share of the windows tried that are in the figures."""
        return 100 * len(self.vectors) / self.windows if self.windows else 0.0

    @property
    def nmad_px(self) -> float | None:
        """Of the worse direction, in pixels of the coarser image."""
        return self.errors.nmad_m / self.resolution_m if self.errors else None

    @property
    def nmad_across_px(self) -> float | None:
        """Across the line along which the errors are spread most: what mistakes of the heights leave as it is."""
        return self.errors.nmad_across_m / self.resolution_m if self.errors else None


Figure = Literal["coregistration_nmad_px", "ce90_m"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What was asked of a figure."""

    figure: Figure
    value: float | None
    """None where it was not measured, which does not meet any limit."""

    limit: float

    @property
    def is_met(self) -> bool:
        """Whether the value is within it."""
        return self.value is not None and self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReport:
    """All that is known of a product's accuracy."""

    product: str
    """Its id, or its file's name."""

    crs: str
    resolution_m: float
    """Side of its pixels on the ground."""

    sensor_fits: tuple[SensorFit, ...] = ()
    refinement: RefinementFigures | None = None
    heights: HeightSource | None = None
    occluded_pct: float | None = None
    """Share of the pixels with data that show nearer terrain in place of their own; None: not looked for."""

    check_points: CheckPoints | None = None
    coregistrations: tuple[Coregistration, ...] = ()
    limits: tuple[Limit, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    """Name and version of what measured."""

    @property
    def ce90_m(self) -> float | None:
        """Against the ground: by check points, else by control points held out; None where neither is there."""
        if self.check_points:
            return self.check_points.errors.ce90_m
        return self.refinement.ce90_m if self.refinement else None

    @property
    def nmad_px(self) -> float | None:
        """Against overlapping scenes: the worst of them."""
        return max((one.nmad_px for one in self.coregistrations if one.nmad_px is not None), default=None)

    @property
    def absolute(self) -> PlanarErrors | None:
        """Errors against the ground; None without check points."""
        return self.check_points.errors if self.check_points else None

    @property
    def is_within_limits(self) -> bool:
        """Whether all that was asked for is met."""
        return all(limit.is_met for limit in self.limits)

    def judged(self, *, max_nmad_px: float | None = None, max_ce90_m: float | None = None) -> "AccuracyReport":
        """The same with what is asked of it; None asks nothing."""
        asked: tuple[tuple[Figure, float | None, float | None], ...] = (
            ("coregistration_nmad_px", self.nmad_px, max_nmad_px),
            ("ce90_m", self.ce90_m, max_ce90_m),
        )
        limits = tuple(
            Limit(figure=figure, value=value, limit=limit) for figure, value, limit in asked if limit is not None
        )
        return replace(self, limits=limits)
