"""When a satellite can see a point on the ground: passes within an off-nadir limit, and the hours of daylight.

A limit is a margin in degrees that is at least 0 while it holds. Over a pass the margin rises once and falls once:

    margin   ·  ·
          ·        ·            1. sample all satellites every 30 s
    0 ──[────────────]────      2. climb to the top between the neighbours of each highest sample
      ·                ·        3. bisect between the top and the nearest failing sample on each side
    ·                    ·

so that a pass shorter than a step is found too.
"""

from collections.abc import Callable, Iterator

import numpy as np

from tasking.orbit import Ephemeris, Floats, Integers, enu_axes, geodetic_to_ecef, sun_angles, vertical

Margin = Callable[[Integers, Floats], Floats]
"""(satellites n, POSIX seconds n) → degrees by which all limits hold, negative where one fails."""

_UNSEEN_DEG = -90.0
"""Margin of samples far below the horizon, where it need not be computed."""

_BISECTIONS = 20
"""Shrink a step of 30 s to 30 µs."""

_GOLDEN_STEPS = 34
"""Shrink a pass of 10 minutes to 50 µs."""


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


def find_passes(ephemeris: Ephemeris, target: Target, limits_deg: Floats) -> Iterator[tuple[int, float, float]]:
    """Yield satellite index, first and last time of every span in which the centre is seen within its limit."""

    def margin(satellite: Integers, posix: Floats) -> Floats:
        position, _ = ephemeris.state(satellite, posix)
        return _visible_margin(target, position, limits_deg[satellite])

    grid, times = _sampled_margin(ephemeris, target, limits_deg), ephemeris.times
    padded = np.pad(grid, ((0, 0), (1, 1)), constant_values=-np.inf)
    satellite, sample = np.nonzero((grid > padded[:, :-2]) & (grid >= padded[:, 2:]) & (grid > _UNSEEN_DEG))
    last = times.size - 1
    top = highest(margin, satellite, times[np.maximum(sample - 1, 0)], times[np.minimum(sample + 1, last)])
    seen = margin(satellite, top) >= 0
    satellite, top = satellite[seen], top[seen]

    # The nearest failing samples on both sides of the top; beyond the ends of the window stand -1 and last + 1.
    index = np.arange(times.size)
    before = np.maximum.accumulate(np.where(grid < 0, index, -1), axis=1)
    after = np.minimum.accumulate(np.where(grid < 0, index, last + 1)[:, ::-1], axis=1)[:, ::-1]
    cell = np.clip(((top - ephemeris.start) / ephemeris.step_s).astype(np.int64), 0, last - 1)
    left, right = before[satellite, cell], after[satellite, cell + 1]
    rise = _edge(margin, satellite, times[np.maximum(left, 0)], np.minimum(times[left + 1], top))
    fall = _edge(margin, satellite, times[np.minimum(right, last)], np.maximum(times[right - 1], top))
    first, final = np.where(left < 0, times[0], rise), np.where(right > last, times[-1], fall)
    # Two tops of one span (a distant satellite hovers) have the same failing neighbours.
    _, unique = np.unique(np.stack([satellite, left, right]), axis=1, return_index=True)
    for i in unique:
        yield int(satellite[i]), float(first[i]), float(final[i])


def _visible_margin(target: Target, satellite_m: Floats, limit_deg: Floats) -> Floats:
    """Degrees within the off-nadir limit, or over the horizon if that is less: through the Earth nothing is seen."""
    return np.minimum(limit_deg - target.off_nadir_deg(satellite_m), target.elevation_deg(satellite_m))


def _sampled_margin(ephemeris: Ephemeris, target: Target, limits_deg: Floats) -> Floats:
    """Margin (satellites, times) at the ephemeris' steps, computed only where the satellite is up, or nearly."""
    sight = ephemeris.position_m - target.position_m
    near = sight @ target.axes[2] > -0.2 * np.linalg.norm(sight, axis=-1)
    grid = np.full(near.shape, _UNSEEN_DEG)
    grid[near] = _visible_margin(
        target, ephemeris.position_m[near], np.broadcast_to(limits_deg[:, None], near.shape)[near]
    )
    return grid


def find_daylight(target: Target, times: Floats, min_elevation_deg: float) -> list[tuple[float, float]]:
    """Spans of the times in which the Sun stands at the elevation or above it."""

    def margin(_: Integers, posix: Floats) -> Floats:
        return sun_angles(target.lon, target.lat, posix)[1] - min_elevation_deg

    if min_elevation_deg <= -90:
        return [(float(times[0]), float(times[-1]))]
    none = np.zeros(0, dtype=np.int64)
    lit = margin(none, times) >= 0
    rises = np.flatnonzero(~lit[:-1] & lit[1:])
    sets = np.flatnonzero(lit[:-1] & ~lit[1:])
    dawns = list(_edge(margin, none, times[rises], times[rises + 1]))
    dusks = list(_edge(margin, none, times[sets + 1], times[sets]))
    if lit[0]:
        dawns.insert(0, times[0])
    if lit[-1]:
        dusks.append(times[-1])
    return [(float(dawn), float(dusk)) for dawn, dusk in zip(dawns, dusks, strict=True)]


def _edge(margin: Margin, satellite: Integers, failing: Floats, holding: Floats) -> Floats:
    """Bisect to where the margin changes sign between two times each; the time returned is on the holding side."""
    for _ in range(_BISECTIONS):
        middle = (failing + holding) / 2
        holds = margin(satellite, middle) >= 0
        failing, holding = np.where(holds, failing, middle), np.where(holds, middle, holding)
    return holding


def highest(score: Margin, satellite: Integers, low: Floats, high: Floats) -> Floats:
    """Golden-section search for the times of the one maximum in each bracket (Kiefer 1953)."""
    ratio = (np.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = score(satellite, a), score(satellite, b)
    for _ in range(_GOLDEN_STEPS):
        left = at_a > at_b
        low, high = np.where(left, low, a), np.where(left, b, high)
        new = np.where(left, high - ratio * (high - low), low + ratio * (high - low))
        at_new = score(satellite, new)
        a, b = np.where(left, new, b), np.where(left, a, new)
        at_a, at_b = np.where(left, at_new, at_b), np.where(left, at_a, at_new)
    return (low + high) / 2
