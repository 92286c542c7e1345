"""When satellites can see places on the ground: passes within an off-nadir limit, and the hours of daylight.

A limit is a margin that is not negative while it holds. Over a pass the margin rises once and falls once:

    margin   ·  ·
          ·        ·            1. per satellite, states every 30 s; between them cubic Hermite interpolation
    0 ──[────────────]────      2. stretches of steps at which a place is near enough, by latitude and one product
      ·                ·        3. climb where no step is inside, so that a pass shorter than a step is found too
    ·                    ·      4. false position between the last failing and the first holding time on each side

An area is in sight while any part of it is. Its edges are cut into chords that lie within metres of the ground; what is
in sight of each chord is one span, and the area's spans are their union, with what passes over its inside between.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from catalog.extent import Footprint
from tasking.orbit import EQUATOR_M, Ephemeris, Floats, enu_axes, geodetic_to_ecef, sun_angles, vertical
from tasking.satellite import ElementSet

Integers = NDArray[np.int64]

Margin = Callable[[Floats], Floats]
"""POSIX seconds n → degrees by which a limit holds, negative where it fails."""

_BISECTIONS = 20
"""Shrink a step of 30 s to 30 µs."""

_STEP_S = 30.0

_SAGITTA_M = 5.0
"""A chord lies no deeper under the ground, nor farther beside the edge that it stands for: a millisecond of a pass."""


class Target:
    """A point on the ellipsoid, with its vertical."""

    def __init__(self, lon: float, lat: float) -> None:
        self.lon, self.lat = lon, lat
        self.position_m = geodetic_to_ecef(lon, lat, 0.0)
        self.axes = enu_axes(lon, lat)

    def off_nadir_deg(self, satellite_m: Floats) -> Floats:
        """Angle at the satellite between the line of sight and its geodetic nadir; positions (n, 3)."""
        return _angle_deg(satellite_m - self.position_m, vertical(satellite_m))

    def elevation_deg(self, satellite_m: Floats) -> Floats:
        """Elevation of the satellite over the horizon; positions (n, 3)."""
        return 90.0 - _angle_deg(satellite_m - self.position_m, self.axes[2])


def _angle_deg(line: Floats, unit: Floats) -> Floats:
    """Angle between vectors (n, 3) and unit vectors, exact for small ones too (Kahan 2006, "Mangled angles")."""
    other = line / np.sqrt(np.einsum("...i,...i", line, line))[..., None]
    apart, along = other - unit, other + unit
    angle: Floats = np.degrees(
        2 * np.arctan2(np.sqrt(np.einsum("...i,...i", apart, apart)), np.sqrt(np.einsum("...i,...i", along, along)))
    )
    return angle


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is looked for: points or areas on the ellipsoid, by geocentric latitude; see `tasking.pass_kernel`."""

    number: Integers
    """Which of those that were given each one is."""

    centres: Floats
    """(places, 3), Earth-fixed metres."""

    radii: Floats
    """Angles at the Earth's centre, radians."""

    chords: Floats
    """(chords, 16)."""

    ends: Integers
    """(places + 1)."""

    @classmethod
    def points(cls, lon: ArrayLike, lat: ArrayLike) -> Self:
        """Points, in degrees."""
        lon, lat = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
        centres = np.stack([lon, lat], axis=1)
        return cls._sorted(centres, np.arange(lon.size), np.tile(centres, 2))

    @classmethod
    def areas(cls, areas: Sequence[Footprint]) -> Self:
        """Areas; any part of one counts."""
        centres = np.array([area.centre for area in areas]).reshape(-1, 2)
        rings = [shapely.get_rings(shapely.get_parts(area.polygons)) for area in areas]
        owner = np.repeat(np.arange(len(areas)), [one.size for one in rings])
        points, ring = shapely.get_coordinates(np.concatenate(rings or [np.zeros(0, object)]), return_index=True)
        edge = np.flatnonzero(ring[1:] == ring[:-1])
        which, ground = _chords(points[edge], points[edge + 1])
        return cls._sorted(centres, owner[ring[edge]][which], ground)

    @classmethod
    def _sorted(cls, middles: Floats, owner: Integers, ground: Floats) -> Self:
        """From centres (n, 2), and for each chord its place and longitude and latitude of both its ends (m, 4)."""
        centres = geodetic_to_ecef(middles[:, 0], middles[:, 1], 0.0)
        number = np.argsort(centres[:, 2] / np.linalg.norm(centres, axis=1), kind="stable")
        rank = np.empty_like(number)
        rank[number] = np.arange(number.size)
        # Mixed, since the first chords of an area should tell most of when it is seen, and neighbours tell the same.
        mixed = np.random.default_rng(0).permutation(owner.size)
        chord = mixed[np.argsort(rank[owner[mixed]], kind="stable")]
        owner, ground = rank[owner[chord]], ground[chord]
        start, end = (geodetic_to_ecef(ground[:, i], ground[:, i + 1], 0.0) for i in (0, 2))
        up, up_end = (enu_axes(ground[:, i], ground[:, i + 1])[:, 2] for i in (0, 2))
        radii = np.zeros(number.size)
        for point in (start, end):
            np.maximum.at(radii, owner, np.radians(_angle_deg(point, _unit(centres[number])[owner])))
        return cls(
            number=number,
            centres=centres[number],
            radii=np.where(radii > math.pi / 2, math.pi, radii),
            chords=np.ascontiguousarray(np.concatenate([start, end - start, up, up_end - up, ground], axis=1)),
            ends=np.searchsorted(owner, np.arange(number.size + 1)),
        )


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _chords(start: Floats, end: Floats) -> tuple[Integers, Floats]:
    """Cut edges (n, 2), straight in lon, lat, into chords: which edge, and lon and lat of both ends (chords, 4).

    An arc of angle θ and radius r lies r θ² / 8 off its chord.
    """
    turn, rise = np.radians(np.abs(end - start)).T
    ring = EQUATOR_M * np.cos(np.radians(np.minimum(np.abs(start[:, 1]), np.abs(end[:, 1]))))
    pieces = np.ceil(turn * np.sqrt(ring / (8 * _SAGITTA_M)) + rise * math.sqrt(EQUATOR_M / (8 * _SAGITTA_M)))
    count = np.maximum(pieces, 1).astype(np.int64)
    edge = np.repeat(np.arange(count.size), count)
    place = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count)
    way = end - start
    first = start[edge] + way[edge] * (place / count[edge])[:, None]
    last = start[edge] + way[edge] * ((place + 1) / count[edge])[:, None]
    return edge, np.concatenate([first, last], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """Spans of time in which satellites see places: arrays of the same length, by place, then time."""

    place: Integers
    """Which of the places that were given."""

    satellite: Integers
    """Which of the element sets that were given."""

    first: Floats
    """POSIX seconds."""

    last: Floats
    best: Floats
    """When, between the two, the place's centre is seen at the least angle off nadir."""

    off_nadir_deg: Floats
    """That angle; more than the limit where only a part that is not the centre is seen within it."""


def find_passes(
    elements: Sequence[ElementSet], places: Places, limits_deg: ArrayLike, *, start: float, end: float
) -> Passes:
    """Every span in which a satellite sees any part of a place above its horizon and within the limit off nadir.

    The satellites are shared out among threads, and none keeps more than one satellite's states.

    Parameters
    ----------
    limits_deg
        One for each satellite, or for all.
    start, end
        POSIX seconds; spans are cut at them.

    Raises
    ------
    ElementSetError
        An element set cannot be propagated over the time.
    """
    from tasking import pass_kernel  # compiled code takes half a second to load, and not every command needs it

    limits = np.broadcast_to(np.radians(np.asarray(limits_deg, np.float64)), len(elements))

    def of_one(which: int) -> tuple[Integers, Floats]:
        ephemeris = Ephemeris.of(elements[which], start=start, end=end, step_s=_STEP_S)
        found: tuple[Integers, Floats] = pass_kernel.search(
            ephemeris.position_m,
            ephemeris.velocity_m_s,
            ephemeris.step_s,
            float(limits[which]),
            places.centres,
            places.radii,
            places.chords,
            places.ends,
        )
        return found

    if start >= end or not len(elements) or not places.number.size:
        found: list[tuple[Integers, Floats]] = []
    else:
        with ThreadPoolExecutor(min(len(elements), os.cpu_count() or 1)) as pool:
            found = list(pool.map(of_one, range(len(elements))))
    times = np.concatenate([np.zeros((0, 4)), *(one for _, one in found)])
    place = places.number[np.concatenate([np.zeros(0, np.int64), *(which for which, _ in found)])]
    satellite = np.repeat(np.arange(len(found)), [which.size for which, _ in found])
    order = np.lexsort((times[:, 0], place))
    first, last, best = (start + times[order, i] for i in range(3))
    return Passes(
        place=place[order],
        satellite=satellite[order],
        first=first,
        last=np.minimum(last, end),
        best=best,
        off_nadir_deg=np.degrees(times[order, 3]),
    )


def find_daylight(target: Target, start: float, end: float, min_elevation_deg: float) -> list[tuple[float, float]]:
    """Spans between two times, POSIX seconds, in which the Sun stands at the elevation or above it."""
    if min_elevation_deg <= -90:
        return [(start, end)]
    times = np.linspace(start, end, max(1, math.ceil((end - start) / _STEP_S)) + 1)

    def margin(posix: Floats) -> Floats:
        return sun_angles(target.lon, target.lat, posix)[1] - min_elevation_deg

    lit = margin(times) >= 0
    rises = np.flatnonzero(~lit[:-1] & lit[1:])
    sets = np.flatnonzero(lit[:-1] & ~lit[1:])
    dawns = list(_edge(margin, times[rises], times[rises + 1]))
    dusks = list(_edge(margin, times[sets + 1], times[sets]))
    if lit[0]:
        dawns.insert(0, times[0])
    if lit[-1]:
        dusks.append(times[-1])
    return [(float(dawn), float(dusk)) for dawn, dusk in zip(dawns, dusks, strict=True)]


def _edge(margin: Margin, failing: Floats, holding: Floats) -> Floats:
    """Bisect to where the margin changes sign between two times each; the time returned is on the holding side."""
    for _ in range(_BISECTIONS):
        middle = (failing + holding) / 2
        holds = margin(middle) >= 0
        failing, holding = np.where(holds, failing, middle), np.where(holds, middle, holding)
    return holding
