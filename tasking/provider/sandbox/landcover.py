"""What lies on the made-up Earth, and how bright the camera sees it.

The ground is divided into districts some 5 km wide (the cells of random seeds, Worley 1996), each with its own
direction. In its frame lie blocks between farm roads, and in these the fields, split again and again. A town sits at
the seed of many districts, highways run along their borders. Over all this grow forests, and by height and latitude
meadows, rock and snow; rivers come from the terrain. Every edge is some 2 m soft, as optics leave it.
"""

from math import floor, sin, sqrt

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from tasking.provider.sandbox.earth import SPHERE_M, Floats, surface
from tasking.provider.sandbox.material import (
    ASPHALT,
    CONCRETE,
    CROP,
    FOREST,
    GRAIN,
    MAIZE,
    MEADOW,
    NOTHING,
    RAPE,
    ROCK,
    SLATE,
    SNOW,
    SOIL,
    STUBBLE,
    TILES,
    TRACK,
    TUNDRA,
    WATER,
    Colour,
    mixed,
    over,
    soft,
)
from tasking.provider.sandbox.noise import fraction, hashed, noise

Integers = NDArray[np.int64]

BANDS = ("blue", "green", "red", "nir", "pan")
"""Order of the last axis of every picture here."""

_CROPS = np.array([MEADOW] * 4 + [CROP] * 2 + [GRAIN] * 3 + [SOIL] * 2 + [RAPE] + [STUBBLE] * 2 + [MAIZE] * 2)
"""What stands on sixteen fields."""

# Kinds of chance; see `material` for why they are not plain integers.
_SEED, _SHIFT, _BLOCK, _FIELD, _STREET, _HOUSE, _NIL = (np.int64(i) for i in (5, 6, 7, 8, 9, 10, 0))

_DISTRICT_M = 4_600.0
_HAZE = np.array([0.040, 0.026, 0.015, 0.006])
"""Reflectance that the air adds."""


@njit(nogil=True, error_model="numpy")
def _district(qx: float, qy: float, qz: float, seeds: Floats, owns: Integers) -> tuple[float, float, float, int]:
    """Place in the frame of the nearest seed in metres, distance from its district's border, bits of its own.

    `seeds` (28, 3) and `owns` (27) remember the seeds around; the last row of `seeds` is the cell they were found for.
    """
    fx, fy, fz = qx / _DISTRICT_M, qy / _DISTRICT_M, qz / _DISTRICT_M
    i, j, k = floor(fx), floor(fy), floor(fz)
    if seeds[27, 0] != i or seeds[27, 1] != j or seeds[27, 2] != k:
        seeds[27] = i, j, k
        for cell in range(27):
            x, y, z = i + cell % 3 - 1, j + cell // 3 % 3 - 1, k + cell // 9 - 1
            owns[cell] = hashed(x, y, z, _SEED)
            seeds[cell, 0] = x + fraction(owns[cell], 0)
            seeds[cell, 1] = y + fraction(owns[cell], 1)
            seeds[cell, 2] = z + fraction(owns[cell], 2)
    first, second, a, b = 1e9, 1e9, 0, 0
    for cell in range(27):
        d = (seeds[cell, 0] - fx) ** 2 + (seeds[cell, 1] - fy) ** 2 + (seeds[cell, 2] - fz) ** 2
        if d < first:
            second, first, b, a = first, d, a, cell
        elif d < second:
            second, b = d, cell
    own = owns[a]
    ax, ay, az = seeds[a]
    bx, by, bz = seeds[b]
    apart = sqrt((ax - bx) ** 2 + (ay - by) ** 2 + (az - bz) ** 2)
    border_m = (second - first) / (2 * apart + 1e-9) * _DISTRICT_M
    # A tangent plane at the seed, turned at random; which axis it starts from does not matter.
    length = sqrt(ax * ax + ay * ay + az * az)
    ux, uy, uz = ax / length, ay / length, az / length
    tx, ty, tz = (-uy, ux, 0.0) if abs(uz) < 0.8 else (0.0, -uz, uy)
    length = sqrt(tx * tx + ty * ty + tz * tz)
    tx, ty, tz = tx / length, ty / length, tz / length
    wx, wy, wz = uy * tz - uz * ty, uz * tx - ux * tz, ux * ty - uy * tx
    px, py, pz = qx - ax * _DISTRICT_M, qy - ay * _DISTRICT_M, qz - az * _DISTRICT_M
    east, north = px * tx + py * ty + pz * tz, px * wx + py * wy + pz * wz
    cos, sin = fraction(own, 1) - 0.5, fraction(own, 0) + 0.01  # any direction will do
    scale = 1 / sqrt(cos * cos + sin * sin)
    return scale * (cos * east + sin * north), scale * (cos * north - sin * east), border_m, own


@njit(nogil=True, error_model="numpy")
def _fields(u: float, v: float, own: int, patch: float, grain: float) -> Colour:
    """Colour of farmland at a place of a district."""
    wide, high = 420 + 300 * fraction(own, 0), 320 + 200 * fraction(own, 2)
    j = floor(v / high)
    u += wide * fraction(hashed(j, _NIL, own, _SHIFT), 0)
    i = floor(u / wide)
    x0, y0, x1, y1 = 0.0, 0.0, wide, high
    x, y = u - i * wide, v - j * high
    road_m = min(x, wide - x, y, high - y)
    bits = hashed(i, j, own, _BLOCK)
    farm = fraction(bits, 1) < 0.22
    for _ in range(4):
        if max(x1 - x0, y1 - y0) < 110 + 160 * fraction(bits, 0):
            break
        at = 0.36 + 0.28 * fraction(bits, 1)
        if x1 - x0 > y1 - y0:
            middle, side = x0 + at * (x1 - x0), x
            x0, x1 = (x0, middle) if side < middle else (middle, x1)
        else:
            middle, side = y0 + at * (y1 - y0), y
            y0, y1 = (y0, middle) if side < middle else (middle, y1)
        bits = hashed(bits, 1 if side < middle else 2, _NIL, _FIELD)
    edge_m = min(x - x0, x1 - x, y - y0, y1 - y)
    kind = fraction(bits, 2)
    light = (0.82 + 0.36 * fraction(bits, 0)) * (1 + 0.35 * patch + 0.12 * grain)
    across = y if x1 - x0 > y1 - y0 else x
    rows = 0.06 * sin(across * 6.2831853 / (7.0 + 7.0 * fraction(bits, 1)))
    if kind < 0.07:
        colour = over(NOTHING, FOREST, light * (1 + 1.6 * grain), 1.0)
    else:
        what = _CROPS[int((kind - 0.07) / 0.93 * 15.999)]
        colour = over(NOTHING, what, light * (1 + rows), 1.0)
    if fraction(bits, 0) < 0.4:
        colour = over(colour, FOREST, 0.9 + grain, 0.8 * soft(2.5 - edge_m, 2.5))
    else:
        colour = over(colour, MEADOW, 1.1, 0.7 * soft(1.5 - edge_m, 2.0))
    colour = over(colour, TRACK, 1.0, soft(2.2 - road_m, 2.0))
    if farm and x < 70 and y < 50:
        roof_m = min(x - 14, 52 - x, y - 12, 26 - y)
        barn_m = min(x - 34, 58 - x, y - 30, 44 - y)
        colour = over(colour, TRACK, 0.9, 0.8)
        colour = over(colour, TILES, 1.0, soft(roof_m, 2.0))
        colour = over(colour, CONCRETE, 1.0, soft(barn_m, 2.0))
    return colour


@njit(nogil=True, error_model="numpy")
def _town(u: float, v: float, own: int, grain: float) -> Colour:
    """Colour of streets, houses and gardens at a place of a district."""
    wide, high = 112.0, 72.0
    i, j = floor(u / wide), floor(v / high)
    x, y = u - i * wide, v - j * high
    block = hashed(i, j, own, _STREET)
    colour = over(NOTHING, MEADOW, 0.85 + 0.9 * grain, 1.0)
    use = fraction(block, 0)
    if use < 0.10:  # a hall and its yard
        colour = over(colour, ASPHALT, 1.3, 0.9)
        colour = over(colour, CONCRETE, 0.8 + 0.8 * fraction(block, 1), soft(min(x - 20, 98 - x, y - 16, 52 - y), 2.0))
    elif use < 0.20:  # a park
        colour = over(colour, FOREST, 1.1 + 1.5 * grain, soft(60 * grain + 4, 8.0))
    else:
        lot, row = int(x / 18.67), int(y / 36)
        bits = hashed(lot, row, block, _HOUSE)
        a, b = x - lot * 18.67, y - row * 36
        left, right = 3 + 3 * fraction(bits, 0), 16.5 - 3 * fraction(bits, 1)
        near = 7 + 7 * fraction(bits, 2)
        roof_m = min(a - left, right - a, b - near, near + 11 + 5 * fraction(bits, 0) - b)
        pick = fraction(bits, 1)
        what = TILES if pick < 0.6 else (SLATE if pick < 0.85 else CONCRETE)
        # Two sides of a pitched roof
        light = 1.12 if b < near + 6 else 0.85
        colour = over(colour, what, light * (0.85 + 0.3 * fraction(bits, 2)), soft(roof_m, 2.0))
    street_m = min(x, wide - x, y, high - y)
    return over(colour, ASPHALT, 1.0 + 0.1 * grain, soft(3.6 - street_m, 2.0))


@njit(nogil=True, error_model="numpy")
def _colour(  # noqa: PLR0917 - numba
    qx: float,
    qy: float,
    qz: float,
    height: float,
    slope: float,
    river_m: float,
    seeds: Floats,
    owns: Integers,
) -> Colour:
    """Reflectance of the ground at a place on the sphere of metres."""
    wx, wy, broad, patch, grain = 0.0, 0.0, 0.0, 0.0, 0.0
    for octave in range(7):
        scale = 1 / _LENGTHS_M[octave]
        n = noise(qx * scale, qy * scale, qz * scale, 51 + octave)
        if octave == 0:
            wx = n
        elif octave == 1:
            wy = n
        elif octave < 5:
            broad += _SHARES[octave] * n
            patch = n if octave == 3 else (0.7 * patch + n if octave == 4 else patch)
        else:
            grain += _SHARES[octave] * n
    lakes = wx + wy
    cold = qz / SPHERE_M
    warm = sqrt(max(1 - cold * cold, 0.0))
    trees = 2050 * warm * sqrt(warm) + 500 * broad  # where they end, in metres of height
    farms = soft(trees - 250 - height, 80.0) * soft(0.34 - slope + 0.2 * broad, 0.08)
    colour = over(NOTHING, MEADOW, 0.9 + 0.6 * patch + 0.35 * grain, 1.0)
    colour = over(colour, TUNDRA, 1.0 + 0.5 * patch + 0.8 * grain, soft(height - trees + 60, 200.0))
    wood = soft(broad + 0.75 * slope - 0.20 + 0.10 * grain, 0.05) * soft(trees - height, 90.0)
    u, v, border_m, own = 0.0, 0.0, 1e9, 0
    if farms > 0:
        u, v, border_m, own = _district(qx + 160 * wx, qy + 160 * wy, qz + 110 * (wx - wy), seeds, owns)
        if wood < 1:
            colour = mixed(colour, _fields(u, v, own, patch, grain), farms)
    colour = over(colour, FOREST, 1.0 + 0.5 * patch + 1.5 * grain, wood)
    town_m = 260 + 650 * fraction(own, 0) + 500 * broad - sqrt(u * u + v * v)
    if farms > 0 and fraction(own, 2) < 0.5 and town_m > -3:
        colour = mixed(colour, _town(u, v, own, grain), farms * soft(town_m, 6.0))
    bare = max(
        soft(slope - 0.66 + 0.2 * patch + 0.2 * grain, 0.25),
        soft(height - trees - 380 + 300 * patch + 200 * grain, 300.0),
    )
    colour = over(colour, ROCK, 1.0 + 0.25 * patch + 0.8 * grain, bare)
    snow = soft(height - trees - 620 + 320 * patch + 60 * grain - 500 * slope, 140.0) * soft(0.85 - slope, 0.2)
    colour = over(colour, SNOW, 1.0 + 0.12 * patch + 0.06 * grain, snow)
    reach = 9 + 30 * max(broad + 0.25, 0.0) + 380 * max(lakes - 0.22, 0.0) * soft(0.2 - slope, 0.2)
    colour = over(colour, TRACK, 1.0 + grain, 0.8 * soft(reach + 4 - river_m, 3.0))
    colour = over(colour, WATER, 1.0 + 0.25 * patch + 0.1 * grain, soft(reach - river_m, 3.0))
    if farms > 0:
        colour = over(colour, MEADOW, 1.0, farms * soft(8 - border_m, 2.0))
        colour = over(colour, ASPHALT, 1.0, farms * soft(4.6 - border_m, 2.0))
        colour = over(colour, CONCRETE, 0.9, farms * soft(0.8 - border_m, 1.5))
    return colour


_LENGTHS_M = (1_500.0, 1_500.0, 1_150.0, 290.0, 75.0, 21.0, 7.0)
"""Lattices: two of the warp that bends all borders, three of woods and patches, two of the grain of crowns and
clods."""

_SHARES = (0.0, 0.0, 1.0, 0.4, 0.16, 0.45, 0.8)


@njit(cache=True, nogil=True, error_model="numpy")
def _paint(hits: Floats, sun: Floats, shade: Floats, out: Floats) -> None:
    seeds, owns = np.full((28, 3), 0.5), np.zeros(27, np.int64)
    lit = sun[0] != 0 or sun[1] != 0 or sun[2] != 0
    for i in range(len(hits)):
        nx, ny, nz, height, gx, gy, gz, river = hits[i]
        slope = sqrt(gx * gx + gy * gy + gz * gz)
        blue, green, red, nir = _colour(nx * SPHERE_M, ny * SPHERE_M, nz * SPHERE_M, height, slope, river, seeds, owns)
        light, air = 1.0, 0.0
        if lit:
            high = max(sun[0] * nx + sun[1] * ny + sun[2] * nz, 0.05)
            facing = sun[0] * (nx - gx) + sun[1] * (ny - gy) + sun[2] * (nz - gz)
            facing = max(facing, 0.0) / sqrt(1 + slope * slope)
            # A quarter of the light comes from the sky; divided by that on level ground, as reflectance is given.
            light, air = (0.25 * high + 0.75 * facing * shade[i]) / high, 1.0
            light = 2.2 * light / (1.2 + light)
        blue, green, red, nir = light * blue, light * green, light * red, light * nir
        out[i, 0], out[i, 1] = blue + air * _HAZE[0], green + air * _HAZE[1]
        out[i, 2], out[i, 3] = red + air * _HAZE[2], nir + air * _HAZE[3]
        out[i, 4] = 0.10 * out[i, 0] + 0.30 * out[i, 1] + 0.36 * out[i, 2] + 0.24 * out[i, 3]


def paint(hits: Floats, *, sun: Floats | None = None, sunlight: Floats | None = None) -> Floats:
    """Brightness of the ground in the `BANDS`.

    Parameters
    ----------
    hits
        (..., 8), from `tasking.provider.sandbox.earth`.
    sun
        Earth-fixed unit vector towards the Sun; without it the bare reflectance is returned, unlit and without air.
    sunlight
        (...), the share of sunlight that clouds let through, 0 to 1; without it all of it.

    Returns
    -------
    (..., 5), reflectance as seen from above the air, mostly 0 to 1.
    """
    flat = hits.reshape(-1, 8)
    shade = np.ones(len(flat)) if sunlight is None else sunlight.reshape(-1)
    out = np.empty((len(flat), len(BANDS)))
    _paint(flat, np.zeros(3) if sun is None else sun, shade, out)
    return out.reshape(*hits.shape[:-1], len(BANDS))


def reflectance(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """Reflectance of the ground in the `BANDS` at geodetic degrees, shape (..., 5); no sun, no air, no clouds."""
    return paint(surface(lon, lat))
