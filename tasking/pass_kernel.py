"""Passes of one satellite over many places, compiled: what `tasking.passes` explains and calls.

A place is a set of chords: the edges of an area, cut short, or one chord of no length for a point. A row of `chords`
holds the start (3) and the way to the end (3) in metres, the ellipsoid's normal at the start (3) and its change to the
end (3), and longitude and latitude of both ends in degrees (4). Times are seconds from the first step; angles radians.

All of it stands in one file: numba's cache looks only at the file of the function that was called.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_A = 6378137.0
_F = 1 / 298.257223563
_E2 = _F * (2 - _F)
_B = _A * (1 - _F)

_DEFLECTION = 0.0036
"""0.2 degrees: most that the ellipsoid's normal is off the direction from the Earth's centre."""

_POINT_M2 = 1e-6
"""Square of a length below which a chord is a point."""

_SMALL_ANGLE = 1e-10
_SMALL_TIME_S = 1e-7
_GOLDEN = (math.sqrt(5) - 1) / 2


@njit(cache=True, nogil=True)
def search(
    position: Floats,
    velocity: Floats,
    step: float,
    limit: float,
    centres: Floats,
    radii: Floats,
    chords: Floats,
    ends: Integers,
) -> tuple[Integers, Floats]:
    """Find when a satellite sees any part of each place within a limit off nadir, above its horizon.

    Parameters
    ----------
    position, velocity
        (n, 3) Earth-fixed, at even steps.
    centres
        (places, 3) metres, sorted by geocentric latitude.
    radii
        (places) angles at the Earth's centre that hold the whole place.
    ends
        (places + 1) where each place's chords begin and end.

    Returns
    -------
    Places (m), and first, last and best time and the angle off nadir of the centre then (m, 4).
    """
    near = _near(position, velocity, step, limit, centres, radii)
    which, found, count = np.empty((64, 1), np.int64), np.empty((64, 4)), 0
    for run in range(near.shape[0]):
        place = near[run, 0]
        own = chords[ends[place] : ends[place + 1]]
        start, stop = max(near[run, 1] - 1, 0), min(near[run, 2] + 2, position.shape[0])
        spans = _spans(position[start:stop], velocity[start:stop], step, limit, own)
        for i in range(spans.shape[0]):
            if count == which.shape[0]:
                which, found = _grown(which), _grown(found)
            which[count, 0], offset = place, start * step
            best, angle = _best(
                position[start:stop], velocity[start:stop], step, centres[place], spans[i, 0], spans[i, 1]
            )
            found[count, 0], found[count, 1], found[count, 2] = (
                spans[i, 0] + offset,
                spans[i, 1] + offset,
                best + offset,
            )
            found[count, 3] = angle
            count += 1
    return which[:count, 0], found[:count]


@njit(cache=True, nogil=True)
def _grown(values: NDArray[Any]) -> NDArray[Any]:
    larger = np.empty((2 * values.shape[0], values.shape[1]), values.dtype)
    for i in range(values.shape[0]):  # by hand: a slice takes seconds to compile
        for j in range(values.shape[1]):
            larger[i, j] = values[i, j]
    return larger


@njit(cache=True, nogil=True)
def _near(position: Floats, velocity: Floats, step: float, limit: float, centres: Floats, radii: Floats) -> Integers:
    """Place, first and last step of every stretch in which a place may be in sight, now or within half a step."""
    count = centres.shape[0]
    units, latitudes, latest = np.empty((count, 3)), np.empty(count), np.empty(count, np.int64)
    for j in range(count):
        x, y, z = centres[j, 0], centres[j, 1], centres[j, 2]
        r = math.sqrt(x * x + y * y + z * z)
        units[j, 0], units[j, 1], units[j, 2] = x / r, y / r, z / r
        latitudes[j] = math.asin(z / r)
        latest[j] = -1
    widest = 0.0
    for radius in radii:
        widest = max(widest, radius)
    runs, found = np.empty((64, 3), np.int64), 0
    for k in range(position.shape[0]):
        x, y, z = position[k, 0], position[k, 1], position[k, 2]
        vx, vy, vz = velocity[k, 0], velocity[k, 1], velocity[k, 2]
        r2 = x * x + y * y + z * z
        r = math.sqrt(r2)
        turn = math.sqrt((y * vz - z * vy) ** 2 + (z * vx - x * vz) ** 2 + (x * vy - y * vx) ** 2) / r2
        reach = _reach(r, limit) + 0.55 * step * turn + _DEFLECTION
        latitude = math.asin(z / r)
        for j in range(_rank(latitudes, latitude - reach - widest), count):
            if latitudes[j] > latitude + reach + widest:
                break
            both = min(reach + radii[j], math.pi)
            if (units[j, 0] * x + units[j, 1] * y + units[j, 2] * z) >= r * math.cos(both):
                run = latest[j]
                if run >= 0 and runs[run, 2] == k - 1:
                    runs[run, 2] = k
                    continue
                if found == runs.shape[0]:
                    runs = _grown(runs)
                runs[found, 0], runs[found, 1], runs[found, 2] = j, k, k
                latest[j] = found
                found += 1
    return runs[:found]


@njit(cache=True, nogil=True)
def _rank(ascending: Floats, value: float) -> int:
    """How many are less."""
    low, high = 0, ascending.size
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _reach(r: float, limit: float) -> float:
    """Largest angle at the Earth's centre to a point that a satellite at this distance sees within the limit."""
    horizon = math.acos(min(_B / r, 1.0))
    angle = limit + _DEFLECTION
    if angle >= math.pi / 2 or r * math.sin(angle) >= _B:
        return horizon
    return min(horizon, math.asin(r * math.sin(angle) / _B) - angle)


@njit(cache=True, nogil=True)
def _look(position: Floats, velocity: Floats, step: float, t: float, state: Floats) -> None:
    """Fill in where the satellite is (3) and its vertical (3): cubic Hermite between steps, then Bowring (1985)."""
    k = min(max(int(t / step), 0), position.shape[0] - 2)
    u = t / step - k
    for i in range(3):
        p0, p1 = position[k, i], position[k + 1, i]
        v0, v1 = velocity[k, i] * step, velocity[k + 1, i] * step
        state[i] = p0 + u * (v0 + u * (3 * (p1 - p0) - 2 * v0 - v1 + u * (v0 + v1 - 2 * (p1 - p0))))
    x, y, z = state[0], state[1], state[2]
    ring = math.sqrt(x * x + y * y)
    sin, cos = z * _A, ring * _B
    up, out = z, ring
    for _ in range(2):
        length = math.sqrt(sin * sin + cos * cos)
        sine, cosine = sin / length, cos / length
        up = z + _E2 / (1 - _E2) * _B * sine * sine * sine
        out = ring - _E2 * _A * cosine * cosine * cosine
        sin, cos = (1 - _F) * up, out
    length = math.sqrt(up * up + out * out)
    across = out / length / ring if ring > 0 else 0.0
    state[3], state[4], state[5] = x * across, y * across, up / length


@njit(cache=True, nogil=True)
def _margin(state: Floats, chord: Floats, limit: float) -> float:
    """Angle within the limit off nadir, or over the horizon if that is less, of a chord's point that is seen best.

    Along a chord the cosine of the angle off nadir is linear / √quadratic, which has one stationary point.
    """
    ux, uy, uz = state[3], state[4], state[5]
    lx, ly, lz = state[0] - chord[0], state[1] - chord[1], state[2] - chord[2]
    dx, dy, dz = chord[3], chord[4], chord[5]
    nx, ny, nz = chord[6], chord[7], chord[8]
    e = dx * dx + dy * dy + dz * dz
    if e > _POINT_M2:
        a, b = lx * ux + ly * uy + lz * uz, -(dx * ux + dy * uy + dz * uz)
        c, d = lx * lx + ly * ly + lz * lz, -(lx * dx + ly * dy + lz * dz)
        bend = a * e - b * d
        u = min(max((b * c - a * d) / bend, 0.0), 1.0) if bend > 0 else 0.0
        lx, ly, lz = lx - u * dx, ly - u * dy, lz - u * dz
        nx, ny, nz = nx + u * chord[9], ny + u * chord[10], nz + u * chord[11]
    along = lx * ux + ly * uy + lz * uz
    cx, cy, cz = ly * uz - lz * uy, lz * ux - lx * uz, lx * uy - ly * ux
    off_nadir = math.atan2(math.sqrt(cx * cx + cy * cy + cz * cz), along)
    sine = (lx * nx + ly * ny + lz * nz) / math.sqrt(lx * lx + ly * ly + lz * lz)
    return min(limit - off_nadir, math.asin(min(max(sine, -1.0), 1.0)))


@njit(cache=True, nogil=True)
def _spans(position: Floats, velocity: Floats, step: float, limit: float, chords: Floats) -> Floats:
    """When any chord, or the inside of the area, is in sight: first and last times (spans, 2).

    Each chord is in sight for one span, since it and what the satellite sees are convex. Most lie inside the spans of
    those that came before, which four looks tell; only one that goes beyond is searched for its edge.
    """
    last = position.shape[0] - 1
    looks = np.empty((last + 1, 6))
    for k in range(last + 1):
        _look(position, velocity, step, k * step, looks[k])
    state = np.empty(6)
    spans, count = np.empty((4, 26)), 0  # first, last, and four looks from between
    for c in range(chords.shape[0]):
        chord = chords[c]
        known = False
        for i in range(count):
            span = spans[i]
            early, late = _margin(span[2:8], chord, limit), _margin(span[20:26], chord, limit)
            if early < 0 and late < 0:
                known = _margin(span[8:14], chord, limit) > early and _margin(span[14:20], chord, limit) > late
            else:
                known = True
                if early >= 0:
                    span[0] = _reached(position, velocity, step, looks, chord, limit, span[0], -1, state)
                if late >= 0:
                    span[1] = _reached(position, velocity, step, looks, chord, limit, span[1], 1, state)
                _mark(position, velocity, step, span)
            if known:
                break
        if known:
            continue
        new = _span(position, velocity, step, looks, chord, limit, state)
        for i in range(new.shape[0]):
            if count == spans.shape[0]:
                spans = _grown(spans)
            spans[count, 0], spans[count, 1] = new[i, 0], new[i, 1]
            _mark(position, velocity, step, spans[count])
            count += 1
    if chords.shape[0] == 1:
        return spans[:count]
    return _joined(position, velocity, step, spans[:count], chords, state)


@njit(cache=True, nogil=True)
def _mark(position: Floats, velocity: Floats, step: float, span: Floats) -> None:
    """Look from both ends of a span and from a little inside it."""
    inward = min(0.5, (span[1] - span[0]) / 4)
    _look(position, velocity, step, span[0], span[2:8])
    _look(position, velocity, step, span[0] + inward, span[8:14])
    _look(position, velocity, step, span[1] - inward, span[14:20])
    _look(position, velocity, step, span[1], span[20:26])


@njit(cache=True, nogil=True)
def _reached(
    position: Floats,
    velocity: Floats,
    step: float,
    looks: Floats,
    chord: Floats,
    limit: float,
    holding: float,
    way: int,
    state: Floats,
) -> float:
    """How far a chord stays in sight from a time when it is, backwards (-1) or forwards (1)."""
    last = looks.shape[0] - 1
    k = math.floor(holding / step) if way < 0 else math.ceil(holding / step)
    while 0 <= k <= last and _margin(looks[k], chord, limit) >= 0:
        k += way
    if k < 0:
        return 0.0
    if k > last:
        return float(last * step)
    return float(_edge(position, velocity, step, chord, limit, k * step, holding, state))


@njit(cache=True, nogil=True)
def _span(
    position: Floats, velocity: Floats, step: float, looks: Floats, chord: Floats, limit: float, state: Floats
) -> Floats:
    """When a chord is in sight, from nothing: (spans, 2); more than one for a satellite that hovers."""
    last = looks.shape[0] - 1
    spans, count, k = np.empty((2, 2)), 0, 0
    before, here = -math.inf, _margin(looks[0], chord, limit)
    while k <= last:
        after = _margin(looks[k + 1], chord, limit) if k < last else -math.inf
        top = -1.0
        if here >= 0:
            top = k * step
        elif before <= here and after < here:
            top = _climb(position, velocity, step, chord, limit, k, here, state)
        if top >= 0:
            if count == spans.shape[0]:
                spans = _grown(spans)
            spans[count, 0] = _reached(position, velocity, step, looks, chord, limit, top, -1, state)
            spans[count, 1] = _reached(position, velocity, step, looks, chord, limit, top, 1, state)
            k = max(k, int(spans[count, 1] / step))
            count += 1
            here = _margin(looks[k], chord, limit)
            after = _margin(looks[k + 1], chord, limit) if k < last else -math.inf
        before, here, k = here, after, k + 1
    return spans[:count]


@njit(cache=True, nogil=True)
def _climb(
    position: Floats, velocity: Floats, step: float, chord: Floats, limit: float, k: int, here: float, state: Floats
) -> float:
    """Find a time around step k when the margin is not negative, by golden section (Kiefer 1953); -1 for none.

    It ends as soon as the margin, at the rate at which the line of sight can turn, cannot reach zero.
    """
    low, high = max(k - 1, 0) * step, min(k + 1, position.shape[0] - 1) * step
    x, y, z = position[k, 0], position[k, 1], position[k, 2]
    speed = math.sqrt(velocity[k, 0] ** 2 + velocity[k, 1] ** 2 + velocity[k, 2] ** 2)
    r = math.sqrt(x * x + y * y + z * z)
    rate = 1.5 * speed * (1 / max(r - _A, 1e5) + 1 / r)
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    _look(position, velocity, step, a, state)
    at_a = _margin(state, chord, limit)
    _look(position, velocity, step, b, state)
    at_b = _margin(state, chord, limit)
    while max(at_a, at_b) < 0:
        if max(at_a, at_b, here) + rate * (high - low) < 0 or high - low < _SMALL_TIME_S:
            return -1.0
        if at_a > at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            _look(position, velocity, step, a, state)
            at_a = _margin(state, chord, limit)
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            _look(position, velocity, step, b, state)
            at_b = _margin(state, chord, limit)
    return float(a if at_a > at_b else b)


@njit(cache=True, nogil=True)
def _edge(
    position: Floats,
    velocity: Floats,
    step: float,
    chord: Floats,
    limit: float,
    failing: float,
    holding: float,
    state: Floats,
) -> float:
    """Find where the margin changes sign, by Anderson and Björck's false position (1973); its holding side."""
    _look(position, velocity, step, failing, state)
    at_failing = _margin(state, chord, limit)
    _look(position, velocity, step, holding, state)
    at_holding = _margin(state, chord, limit)
    for turn in range(80):
        if at_holding < _SMALL_ANGLE or abs(holding - failing) < _SMALL_TIME_S:
            break
        t = holding - at_holding * (holding - failing) / (at_holding - at_failing)
        if turn % 8 == 7:  # a flat top: false position crawls there
            t = (holding + failing) / 2
        _look(position, velocity, step, t, state)
        at = _margin(state, chord, limit)
        if at >= 0:
            keep = 1 - at / at_holding
            holding, at_holding = t, at
            at_failing *= keep if keep > 0 else 0.5
        else:
            keep = 1 - at / at_failing
            failing, at_failing = t, at
            at_holding *= keep if keep > 0 else 0.5
    return holding


@njit(cache=True, nogil=True)
def _joined(position: Floats, velocity: Floats, step: float, spans: Floats, chords: Floats, state: Floats) -> Floats:
    """Spans in order, joined where they overlap or the satellite is over the inside of the area between them.

    Between two spans no edge is in sight, so that the whole gap is over the inside or none of it.
    """
    end = (position.shape[0] - 1) * step
    _sort(spans)
    joined, count, until = np.empty((spans.shape[0] + 1, 2)), 0, 0.0
    for i in range(spans.shape[0] + 1):
        after = i == spans.shape[0]
        start, stop = (end, end) if after else (spans[i, 0], spans[i, 1])
        touching = count > 0 and start <= until
        if start > until:
            _look(position, velocity, step, (until + start) / 2, state)
            touching = _inside(state, chords)
        if touching and count > 0:
            joined[count - 1, 1] = max(until, stop)
        elif touching or not after:
            joined[count, 0], joined[count, 1] = until if touching else start, stop
            count += 1
        until = max(until, stop)
    return joined[:count]


@njit(cache=True, nogil=True)
def _sort(spans: Floats) -> None:
    """By first time, in place."""
    for i in range(1, spans.shape[0]):
        for j in range(i, 0, -1):
            if spans[j - 1, 0] <= spans[j, 0]:
                break
            for side in range(2):
                spans[j - 1, side], spans[j, side] = spans[j, side], spans[j - 1, side]


@njit(cache=True, nogil=True)
def _inside(state: Floats, chords: Floats) -> bool:
    """Whether the point below the satellite lies inside the area: an odd number of edges to the north of it."""
    lon = math.degrees(math.atan2(state[1], state[0]))
    lat = math.degrees(math.asin(min(max(state[5], -1.0), 1.0)))
    odd = False
    for c in range(chords.shape[0]):
        lon0, lat0, lon1, lat1 = chords[c, 12], chords[c, 13], chords[c, 14], chords[c, 15]
        if (lon0 > lon) != (lon1 > lon) and lat0 + (lat1 - lat0) * (lon - lon0) / (lon1 - lon0) > lat:
            odd = not odd
    return odd


@njit(cache=True, nogil=True)
def _off_nadir(position: Floats, velocity: Floats, step: float, t: float, place: Floats, state: Floats) -> float:
    _look(position, velocity, step, t, state)
    ux, uy, uz = state[3], state[4], state[5]
    lx, ly, lz = state[0] - place[0], state[1] - place[1], state[2] - place[2]
    cx, cy, cz = ly * uz - lz * uy, lz * ux - lx * uz, lx * uy - ly * ux
    return math.atan2(math.sqrt(cx * cx + cy * cy + cz * cz), lx * ux + ly * uy + lz * uz)


@njit(cache=True, nogil=True)
def _best(
    position: Floats, velocity: Floats, step: float, place: Floats, first: float, last: float
) -> tuple[float, float]:
    """When between two times a place is seen least off nadir, and that angle: the best step, then golden section."""
    state = np.empty(6)
    low, high, least = first, last, math.inf
    for k in range(math.ceil(first / step), int(last / step) + 1):
        angle = _off_nadir(position, velocity, step, k * step, place, state)
        if angle < least:
            least, low, high = angle, max(first, (k - 1) * step), min(last, (k + 1) * step)
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_a = _off_nadir(position, velocity, step, a, place, state)
    at_b = _off_nadir(position, velocity, step, b, place, state)
    while high - low > 1e-4:
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            at_a = _off_nadir(position, velocity, step, a, place, state)
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            at_b = _off_nadir(position, velocity, step, b, place, state)
    middle = (low + high) / 2
    # The least may stand at an end of the span, which golden section only comes near to.
    for t in (first, last):
        if _off_nadir(position, velocity, step, t, place, state) < _off_nadir(
            position, velocity, step, middle, place, state
        ):
            middle = t
    return middle, _off_nadir(position, velocity, step, middle, place, state)
