"""All compiled code of the room: ground to image, heights between cells, pixels between pixels.

It stands in one file because numba's cache looks only at the file of the function that was called: a kernel that calls
into another file would go on with that file's old code. No fastmath, and each output pixel depends on its own inputs
alone: the same bits on every thread, in every block. Coordinates are whole numbers at the centres of pixels and cells.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAREST, BILINEAR, CUBIC, LANCZOS, AVERAGE = 0, 1, 2, 3, 4
"""Ways of resampling."""

CHUNK = 8
"""Pixels whose heights are looked up together where they lie between the same cells of the DEM."""

REACH = (0.5, 1.0, 2.0, 3.0, 0.5)
"""Pixels of the image to each side that they look at, where output and image are as fine."""

TOLERANCE_PX = 1e-8
"""`locate` ends when the model is met this closely; float64 leaves some 1e-11 px."""

EDGE = 1e-9
"""Cells by which a place may lie outside the outermost centres: what rounding makes of a place right on them."""

MAX_STEPS = 30
"""Newton needs four to six steps inside the model's domain."""


@njit(cache=True, nogil=True, inline="always")
def _cubic_terms(model: Floats, at: int, x: float, y: float, z: float) -> float:
    """One polynomial, whose 20 coefficients in RPC00B order begin at ``model[at]``, in nested form."""
    c = model[at : at + 20]
    in_x = c[1] + x * (c[7] + x * c[11] + y * c[14] + z * c[17]) + y * (c[4] + y * c[12] + z * c[10])
    in_y = c[2] + y * (c[8] + y * c[15] + z * c[18]) + z * (c[6] + z * c[16])
    in_z = c[3] + z * (c[9] + z * c[19])
    value: float = c[0] + x * (in_x + z * (c[5] + z * c[13])) + y * in_y + z * in_z
    return value


@njit(cache=True, nogil=True)
def image_point(model: Floats, lon: float, lat: float, height: float) -> tuple[float, float]:
    """Row and column of one ground point; `model` as `Rpc.packed` gives it."""
    turn = lon - model[3]
    x = (turn - 360.0 * np.rint(turn / 360.0)) / model[8]
    y = (lat - model[2]) / model[7]
    z = (height - model[4]) / model[9]
    line_den = _cubic_terms(model, 30, x, y, z)
    samp_den = _cubic_terms(model, 70, x, y, z)
    if line_den == 0.0 or samp_den == 0.0:
        return np.nan, np.nan
    row = model[0] + model[5] * (_cubic_terms(model, 10, x, y, z) / line_den)
    col = model[1] + model[6] * (_cubic_terms(model, 50, x, y, z) / samp_den)
    return row, col


@njit(cache=True, nogil=True)
def project(model: Floats, lon: Floats, lat: Floats, height: Floats) -> tuple[Floats, Floats]:
    """`image_point` for one-dimensional arrays."""
    row, col = np.empty(lon.size), np.empty(lon.size)
    for k in range(lon.size):
        row[k], col[k] = image_point(model, lon[k], lat[k], height[k])
    return row, col


@njit(cache=True, nogil=True)
def locate(model: Floats, row: Floats, col: Floats, height: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude for one-dimensional arrays; NaN where Newton's method does not converge."""
    lon, lat = np.empty(row.size), np.empty(row.size)
    for k in range(row.size):
        lon[k], lat[k] = _ground_point(model, row[k], col[k], height[k])
    return lon, lat


@njit(cache=True, nogil=True)
def _ground_point(model: Floats, row: float, col: float, height: float) -> tuple[float, float]:
    """Newton's method from the middle of the domain; the derivative by central differences, which its steps forgive."""
    lon, lat = model[3], model[2]
    dx, dy = 1e-4 * model[8], 1e-4 * model[7]
    for _ in range(MAX_STEPS):
        r, c = image_point(model, lon, lat, height)
        off_row, off_col = row - r, col - c
        if max(abs(off_row), abs(off_col)) < TOLERANCE_PX:
            return lon - 360.0 * np.floor((lon + 180.0) / 360.0), lat
        east_r, east_c = image_point(model, lon + dx, lat, height)
        west_r, west_c = image_point(model, lon - dx, lat, height)
        north_r, north_c = image_point(model, lon, lat + dy, height)
        south_r, south_c = image_point(model, lon, lat - dy, height)
        rx, cx = (east_r - west_r) / (2 * dx), (east_c - west_c) / (2 * dx)
        ry, cy = (north_r - south_r) / (2 * dy), (north_c - south_c) / (2 * dy)
        det = rx * cy - ry * cx
        if det == 0.0 or not np.isfinite(det):
            break
        lon += (cy * off_row - ry * off_col) / det
        lat += (rx * off_col - cx * off_row) / det
    return np.nan, np.nan


@njit(cache=True, nogil=True, inline="always")
def bilinear(values: Floats, row: float, col: float) -> float:
    """The value between four cells; NaN outside their centres. A cell without weight is not asked."""
    last_row, last_col = values.shape[0] - 1.0, values.shape[1] - 1.0
    if 0.0 <= row < last_row and 0.0 <= col < last_col:  # as nearly everywhere
        i, j = int(row), int(col)
        down, right = row - i, col - j
        top = values[i, j] * (1.0 - right) + values[i, j + 1] * right
        bottom = values[i + 1, j] * (1.0 - right) + values[i + 1, j + 1] * right
        value = top * (1.0 - down) + bottom * down
        if value == value:  # noqa: PLR0124 - no NaN among the four
            return float(value)
    if not (-EDGE <= row <= last_row + EDGE and -EDGE <= col <= last_col + EDGE):
        return np.nan
    row, col = min(max(row, 0.0), last_row), min(max(col, 0.0), last_col)
    i, j = int(row), int(col)
    down, right = row - i, col - j
    top = values[i, j] if right == 0.0 else values[i, j] * (1.0 - right) + values[i, j + 1] * right
    if down == 0.0:
        return float(top)
    bottom = values[i + 1, j] if right == 0.0 else values[i + 1, j] * (1.0 - right) + values[i + 1, j + 1] * right
    return float(top * (1.0 - down) + bottom * down)


@njit(cache=True, nogil=True)
def interpolate(values: Floats, row: Floats, col: Floats) -> Floats:
    """`bilinear` for one-dimensional arrays."""
    result = np.empty(row.size)
    for k in range(row.size):
        result[k] = bilinear(values, row[k], col[k])
    return result


@njit(cache=True, nogil=True)
def _row_positions(
    nodes: Floats,
    step: int,
    i: int,
    cols: tuple[int, int],
    heights: Floats,
    first_cell: tuple[int, int],
    middle: float,
    half: float,
    shares: Floats,
    line: Floats,
    z: Floats,
    row: Floats,
    col: Floats,
) -> int:
    """Where one row of a patch's pixels appears in the image: `row` and `col` from 0 on, for columns from `cols[0]`.

    ``shares`` says how far each pixel lies from one node to the next, 0 for the first; ``line`` (nodes' first two
    dimensions) and ``z`` are for notes. Gives the number of pixels whose height is unknown; their positions are NaN.
    """
    terms = (nodes.shape[0] - 2) // 2
    p = i // step
    down = (i - p * step) / step
    for k in range(nodes.shape[0]):
        for q in range(nodes.shape[2]):
            # A node without weight is not asked: it may be NaN.
            line[k, q] = (
                nodes[k, p, q] if down == 0.0 else nodes[k, p, q] + down * (nodes[k, p + 1, q] - nodes[k, p, q])
            )
    unknown = 0
    start, end = cols
    for q in range(start // step, (end - 1) // step + 1):
        y, x = line[0, q] - first_cell[0], line[1, q] - first_cell[1]
        dy = 0.0 if step == 1 else line[0, q + 1] - line[0, q]
        dx = 0.0 if step == 1 else line[1, q + 1] - line[1, q]
        first, last = max(start, q * step), min(end, (q + 1) * step)
        for j in range(first, last, CHUNK):
            stop = min(j + CHUNK, last)
            unknown += _heights_along(
                heights, (y, dy), (x, dx), shares[j - q * step : stop - q * step], middle, 1.0 / half,
                z[j - start : stop - start],
            )  # fmt: skip
    for q in range(start // step, (end - 1) // step + 1):
        beside = q if step == 1 else q + 1
        first, last = max(start, q * step), min(end, (q + 1) * step)
        # Unsigned indexes: the compiler need not ask whether they count from the end, and takes several at once.
        at, to = np.uint64(first - q * step), np.uint64(first - start)
        if terms == 3:
            a0, a1, a2 = line[2, q], line[3, q], line[4, q]
            b0, b1, b2 = line[5, q], line[6, q], line[7, q]
            da0, da1, da2 = line[2, beside] - a0, line[3, beside] - a1, line[4, beside] - a2
            db0, db1, db2 = line[5, beside] - b0, line[6, beside] - b1, line[7, beside] - b2
            for k in range(np.uint64(last - first)):
                t, high = shares[at + k], z[to + k]
                row[to + k] = (a0 + t * da0) + high * ((a1 + t * da1) + high * (a2 + t * da2))
                col[to + k] = (b0 + t * db0) + high * ((b1 + t * db1) + high * (b2 + t * db2))
            continue
        for j in range(first, last):
            t = shares[j - q * step]
            r, c = 0.0, 0.0
            for k in range(terms + 1, 1, -1):
                r = r * z[j - start] + (line[k, q] + t * (line[k, beside] - line[k, q]))
                c = c * z[j - start] + (line[k + terms, q] + t * (line[k + terms, beside] - line[k + terms, q]))
            row[j - start], col[j - start] = r, c
    return unknown


@njit(cache=True, nogil=True, inline="always")
def _heights_along(
    values: Floats,
    rows: tuple[float, float],
    cols: tuple[float, float],
    shares: Floats,
    middle: float,
    by_half: float,
    z: Floats,
) -> int:
    """Heights along a straight line in the DEM, less the middle and over half their range; says how many are NaN.

    Where the line stays between the same four cells, as nearly everywhere, they are looked up once. Each height is
    computed as `bilinear` does it, so that it does not matter which way was taken.
    """
    (y, dy), (x, dx) = rows, cols
    count = np.uint64(shares.size)
    near, far = shares[0], shares[count - np.uint64(1)]
    top, bottom, left, right = y + near * dy, y + far * dy, x + near * dx, x + far * dx
    last_row, last_col = values.shape[0] - 1.0, values.shape[1] - 1.0
    inside = 0.0 <= top < last_row and 0.0 <= bottom < last_row and 0.0 <= left < last_col and 0.0 <= right < last_col
    if inside and int(top) == int(bottom) and int(left) == int(right):
        i, j = int(top), int(left)
        a, b, c, d = values[i, j], values[i, j + 1], values[i + 1, j], values[i + 1, j + 1]
        if not np.isnan((a + b) + (c + d)):
            cell_row, cell_col = float(i), float(j)
            for k in range(count):
                down, aside = (y + shares[k] * dy) - cell_row, (x + shares[k] * dx) - cell_col
                upper, lower = a * (1.0 - aside) + b * aside, c * (1.0 - aside) + d * aside
                z[k] = ((upper * (1.0 - down) + lower * down) - middle) * by_half
            return 0
    unknown = 0
    for k in range(count):
        height = bilinear(values, y + shares[k] * dy, x + shares[k] * dx)
        z[k] = (height - middle) * by_half
        unknown += np.isnan(height)
    return unknown


@njit(cache=True, nogil=True)
def image_positions(
    nodes: Floats,
    step: int,
    part: tuple[int, int, int, int],
    offset: tuple[int, int],
    heights: Floats,
    first_cell: tuple[int, int],
    relief: tuple[float, float],
    row: Floats,
    col: Floats,
) -> int:
    """Fill in where the pixels of a patch appear in the image, NaN where no height is known; gives how many these are.

    Parameters
    ----------
    nodes, step
        Of a `processing.lattice.Lattice`.
    part, offset
        First and last + 1 row, likewise column, of the patch's pixels that are wanted; where pixel (0, 0) of the patch
        lies in `row` and `col`.
    heights, first_cell
        Cells of the DEM in m above the ellipsoid, and row and column of the first of them.
    relief
        Middle and half of the heights of the lattice's polynomials.
    """
    unknown = 0
    line, z = np.empty((nodes.shape[0], nodes.shape[2])), np.empty(part[3] - part[2])
    shares: Floats = np.arange(step).astype(np.float64) / step
    for i in range(part[0], part[1]):
        start, end = part[2] + offset[1], part[3] + offset[1]
        unknown += _row_positions(
            nodes, step, i, (part[2], part[3]), heights, first_cell, relief[0], relief[1], shares, line, z,
            row[i + offset[0], start:end], col[i + offset[0], start:end],
        )  # fmt: skip
    return unknown


@njit(cache=True, nogil=True)
def warp(
    nodes: Floats,
    step: int,
    part: tuple[int, int, int, int],
    offset: tuple[int, int],
    heights: Floats,
    first_cell: tuple[int, int],
    relief: tuple[float, float],
    source: NDArray[np.generic],
    first: tuple[int, int],
    nodata: float,
    image: tuple[int, int],
    method: int,
    scale: tuple[float, float],
    limits: tuple[float, float, float],
    result: NDArray[np.generic],
) -> int:
    """Resample the pixels of a patch; those whose position lies outside the image stay as they are.

    A pixel is valid where the nearest pixel of the source is. Neighbours that are missing (outside the image, nodata,
    NaN) have no weight; cubic needs all sixteen and is bilinear where one is missing; where most of what a stretched
    kernel or lanczos reaches is missing, the nearest pixel stands for all.

    Parameters
    ----------
    nodes, step, part, offset, heights, first_cell, relief
        As in `image_positions`; `offset` is where pixel (0, 0) of the patch lies in `result`.
    source, first
        Pixels (rows, columns, bands) of the image and the row and column of the first; as many more around the
        positions of the pixels as the method reaches, where the image has them.
    nodata
        NaN for none.
    image
        Its height and width.
    scale
        Rows and columns of the image that a pixel of the output covers, 1 at least: kernels are stretched by them, so
        that nothing of what lies between is left out.
    limits
        Lowest and highest value the result can hold (NaN: float, neither rounded nor limited), and its nodata, which no
        valid pixel may become.
    result
        Pixels (rows, columns, bands).

    Returns
    -------
    The number of pixels whose height is unknown.
    """
    unknown = 0
    width = part[3] - part[2]
    whole = not np.isnan(limits[0])
    stretched = scale[0] > 1.0 or scale[1] > 1.0
    # Small whole numbers without nodata, as most scenes have them: nothing has to be looked at before it is used.
    plain = whole and source.itemsize <= 2 and np.isnan(nodata) and not stretched and method in (BILINEAR, CUBIC)
    shares: Floats = np.arange(step).astype(np.float64) / step
    line, z = np.empty((nodes.shape[0], nodes.shape[2])), np.empty(width)
    row, col = np.empty(width), np.empty(width)
    reach = _reach_of(method)
    weights_row = np.empty(int(2 * reach * scale[0]) + 3)
    weights_col = np.empty(int(2 * reach * scale[1]) + 3)
    value, column = np.empty(source.shape[2]), np.empty(4 * source.shape[2], dtype=np.float32)
    for i in range(part[0], part[1]):
        unknown += _row_positions(
            nodes, step, i, (part[2], part[3]), heights, first_cell, relief[0], relief[1], shares, line, z, row, col
        )
        pixels = result[i + offset[0], part[2] + offset[1] : part[3] + offset[1]]
        if plain:
            _plain_row(source, first, row, col, image, method, limits, column, pixels)
        else:
            _any_row(
                source, first, row, col, image, method, scale, nodata, limits, weights_row, weights_col, value, pixels
            )
    return unknown


@njit(cache=True, nogil=True)
def _plain_row(
    source: NDArray[np.generic],
    first: tuple[int, int],
    row: Floats,
    col: Floats,
    image: tuple[int, int],
    method: int,
    limits: tuple[float, float, float],
    column: NDArray[np.float32],
    pixels: NDArray[np.generic],
) -> None:
    """A row of whole numbers of up to 16 bits, none missing, bilinear or cubic, in single precision.

    At the image's edge pixels outside count as the nearest one inside, and cubic is bilinear. Indexes into the flat
    source are unsigned: the compiler need not ask whether they count from the end, and takes several at once.
    """
    bands, width = np.uint64(source.shape[2]), source.shape[1]
    flat = source.reshape(-1)
    fill = np.float32(limits[2])
    spare = np.float32(_beside(limits[2], limits[0], limits[1]))
    lowest, highest = np.float32(limits[0]), np.float32(limits[1])
    last_row, last_col = source.shape[0] - 1, width - 1
    for k in range(row.size):
        r, s = row[k], col[k]
        if not (-0.5 <= r < image[0] - 0.5 and -0.5 <= s < image[1] - 0.5):
            continue
        i, j = int(np.floor(r)), int(np.floor(s))
        down, right = r - i, s - j
        i, j = i - first[0], j - first[1]
        if method == CUBIC and 1 <= i < last_row - 1 and 1 <= j < last_col - 1:
            v0, v1, v2, v3 = _keys_of(down)
            w0, w1, w2, w3 = _keys_of(right)
            at, below = np.uint64(((i - 1) * width + j - 1) * source.shape[2]), np.uint64(width * source.shape[2])
            second, third = below + below, below + below + below
            for c in range(bands + bands + bands + bands):
                q = at + c
                column[c] = (v0 * np.float32(flat[q]) + v1 * np.float32(flat[q + below])) + (
                    v2 * np.float32(flat[q + second]) + v3 * np.float32(flat[q + third])
                )
            for band in range(bands):
                found = (w0 * column[band] + w1 * column[bands + band]) + (
                    w2 * column[bands + bands + band] + w3 * column[bands + bands + bands + band]
                )
                rounded = min(max(np.floor(found + np.float32(0.5)), lowest), highest)
                pixels[k, band] = spare if rounded == fill else rounded
            continue
        upper, lower = max(i, 0), min(i + 1, last_row)
        left, beside = max(j, 0), min(j + 1, last_col)
        share_a, share_b = np.float32((1.0 - down) * (1.0 - right)), np.float32((1.0 - down) * right)
        share_c, share_d = np.float32(down * (1.0 - right)), np.float32(down * right)
        at, to_right = np.uint64((upper * width + left) * source.shape[2]), np.uint64((beside - left) * source.shape[2])
        below = np.uint64((lower - upper) * width * source.shape[2])
        for band in range(bands):
            q = at + band
            found = (share_a * np.float32(flat[q]) + share_b * np.float32(flat[q + to_right])) + (
                share_c * np.float32(flat[q + below]) + share_d * np.float32(flat[q + below + to_right])
            )
            rounded = np.floor(found + np.float32(0.5))
            pixels[k, band] = spare if rounded == fill else rounded


@njit(cache=True, nogil=True, inline="always")
def _keys_of(t: float) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Weights of four pixels, the second of which lies t before the place; as `_keys`."""
    return (
        np.float32(t * (-0.5 + t * (1.0 - 0.5 * t))),
        np.float32(1.0 + t * t * (-2.5 + 1.5 * t)),
        np.float32(t * (0.5 + t * (2.0 - 1.5 * t))),
        np.float32(t * t * (-0.5 + 0.5 * t)),
    )


@njit(cache=True, nogil=True)
def _any_row(
    source: NDArray[np.generic],
    first: tuple[int, int],
    row: Floats,
    col: Floats,
    image: tuple[int, int],
    method: int,
    scale: tuple[float, float],
    nodata: float,
    limits: tuple[float, float, float],
    weights_row: Floats,
    weights_col: Floats,
    value: Floats,
    pixels: NDArray[np.generic],
) -> None:
    """A row of pixels of any type, by any method, with or without nodata."""
    low, high, fill = limits
    stretched = scale[0] > 1.0 or scale[1] > 1.0
    filtered = method in (LANCZOS, AVERAGE) or (stretched and method != NEAREST)
    for k in range(row.size):
        r, s = row[k], col[k]
        if not (-0.5 <= r < image[0] - 0.5 and -0.5 <= s < image[1] - 0.5):
            continue
        nearest = source[int(np.floor(r + 0.5)) - first[0], int(np.floor(s + 0.5)) - first[1]]
        if filtered:
            _filtered(source, first, r, s, method, scale, nodata, weights_row, weights_col, value)
        elif method != NEAREST:
            base_row, base_col = int(np.floor(r)), int(np.floor(s))
            down, right = r - base_row, s - base_col
            i, j = base_row - first[0], base_col - first[1]
            if method == BILINEAR or not _cubic(source, i, j, down, right, nodata, value):
                _linear(source, i, j, down, right, nodata, value)
        for band in range(source.shape[2]):
            centre = float(nearest[band])
            if centre == nodata or np.isnan(centre):
                continue
            found = centre if method == NEAREST or np.isnan(value[band]) else value[band]
            if not np.isnan(low):
                found = min(max(np.floor(found + 0.5), low), high)
            pixels[k, band] = found
            if float(pixels[k, band]) == fill:  # compared as stored: float32 rounds
                pixels[k, band] = _beside(fill, low, high)


@njit(cache=True, nogil=True)
def _reach_of(method: int) -> float:
    return REACH[method]


@njit(cache=True, nogil=True)
def _linear(
    source: NDArray[np.generic], row: int, col: int, down: float, right: float, nodata: float, value: Floats
) -> None:
    """Mean of the four pixels from (row, col) on, those that are missing left out; NaN where all are."""
    for band in range(source.shape[2]):
        total, weight = 0.0, 0.0
        for i in range(2):
            for j in range(2):
                if not (0 <= row + i < source.shape[0] and 0 <= col + j < source.shape[1]):
                    continue
                one = float(source[row + i, col + j, band])
                if one != nodata and not np.isnan(one):
                    share = (down if i else 1.0 - down) * (right if j else 1.0 - right)
                    total += share * one
                    weight += share
        value[band] = total / weight if weight > 0.0 else np.nan


@njit(cache=True, nogil=True)
def _cubic(
    source: NDArray[np.generic], row: int, col: int, down: float, right: float, nodata: float, value: Floats
) -> bool:
    """Weighted sum of the sixteen pixels around the cell from (row, col) on; False where one is missing."""
    if row < 1 or col < 1 or row + 2 >= source.shape[0] or col + 2 >= source.shape[1]:
        return False
    for band in range(source.shape[2]):
        total = 0.0
        for i in range(4):
            along = 0.0
            for j in range(4):
                one = float(source[row - 1 + i, col - 1 + j, band])
                if one == nodata or np.isnan(one):
                    return False
                along += _keys(abs(j - 1 - right)) * one
            total += _keys(abs(i - 1 - down)) * along
        value[band] = total
    return True


@njit(cache=True, nogil=True)
def _filtered(
    source: NDArray[np.generic],
    first: tuple[int, int],
    row: float,
    col: float,
    method: int,
    scale: tuple[float, float],
    nodata: float,
    weights_row: Floats,
    weights_col: Floats,
    value: Floats,
) -> None:
    """Weighted mean of all pixels that a kernel reaches, those that are missing left out; NaN where most are."""
    top, rows = _weights(row, method, scale[0], weights_row)
    left, cols = _weights(col, method, scale[1], weights_col)
    top, left = top - first[0], left - first[1]
    whole = weights_row[:rows].sum() * weights_col[:cols].sum()
    for band in range(source.shape[2]):
        total, weight = 0.0, 0.0
        for i in range(rows):
            if not 0 <= top + i < source.shape[0]:
                continue
            for j in range(cols):
                if not 0 <= left + j < source.shape[1]:
                    continue
                one = float(source[top + i, left + j, band])
                if one != nodata and not np.isnan(one):
                    share = weights_row[i] * weights_col[j]
                    total += share * one
                    weight += share
        value[band] = total / weight if weight > 0.5 * whole else np.nan


@njit(cache=True, nogil=True)
def _weights(at: float, method: int, scale: float, weights: Floats) -> tuple[int, int]:
    """Weights along one axis: gives the first pixel that has one, and how many there are."""
    reach = _reach_of(method) * scale
    if method == AVERAGE:
        low, high = at - reach, at + reach
        start, end = int(np.floor(low + 0.5)), int(np.ceil(high - 0.5))
        for k in range(start, end + 1):  # the share of each pixel that is covered
            weights[k - start] = max(0.0, min(high, k + 0.5) - max(low, k - 0.5))
        return start, end - start + 1
    start, end = int(np.ceil(at - reach)), int(np.floor(at + reach))
    for k in range(start, end + 1):
        x = abs(k - at) / scale
        if method == BILINEAR:
            weights[k - start] = max(0.0, 1.0 - x)
        elif method == CUBIC:
            weights[k - start] = _keys(x)
        else:
            weights[k - start] = _lanczos(x)
    return start, end - start + 1


@njit(cache=True, nogil=True)
def _keys(x: float) -> float:
    """Cubic convolution with a = -1/2 (Keys, IEEE ASSP 29(6), 1981)."""
    if x < 1.0:
        return 1.0 + x * x * (-2.5 + 1.5 * x)
    return 2.0 + x * (-4.0 + x * (2.5 - 0.5 * x)) if x < 2.0 else 0.0


@njit(cache=True, nogil=True)
def _lanczos(x: float) -> float:
    """Three lobes of a sinc, by a sinc three times as wide (Duchon, J. Appl. Meteorol. 18(8), 1979)."""
    if x < 1e-12:
        return 1.0
    return 3.0 * np.sin(np.pi * x) * np.sin(np.pi * x / 3.0) / (np.pi * x) ** 2 if x < 3.0 else 0.0


@njit(cache=True, nogil=True)
def _beside(fill: float, low: float, high: float) -> float:
    """The nearest value to nodata that is none; for floats the next one up, as float32 has it."""
    if np.isnan(low):
        return float(np.nextafter(np.float32(fill), np.float32(np.inf)))
    return fill + 1.0 if fill < high else fill - 1.0
