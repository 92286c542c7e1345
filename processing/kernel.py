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

NEAREST, BILINEAR, CUBIC = 0, 1, 2
"""Ways of resampling."""

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


@njit(cache=True, nogil=True)
def bilinear(values: Floats, row: float, col: float) -> float:
    """The value between four cells; NaN outside their centres. A cell without weight is not asked."""
    last_row, last_col = values.shape[0] - 1.0, values.shape[1] - 1.0
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
def image_positions(
    model: Floats,
    nodes: Floats,
    step: int,
    part: tuple[int, int, int, int],
    offset: tuple[int, int],
    heights: Floats,
    first_cell: tuple[int, int],
    relief: tuple[float, float],
    image: tuple[int, int],
    row: Floats,
    col: Floats,
) -> tuple[int, float, float]:
    """Fill in where the pixels of a patch appear in the image, NaN where no terrain is known and none is seen.

    Parameters
    ----------
    model
        As `Rpc.packed` gives it.
    nodes, step
        Longitude, latitude, row and column in the DEM at every `step`-th pixel: shape (4, n, m).
    part, offset
        First and last + 1 row, likewise column, of the patch's pixels that are wanted; where pixel (0, 0) of the patch
        lies in `row` and `col`.
    heights, first_cell
        Cells of the DEM in m above the ellipsoid, and row and column of the first of them.
    relief
        Lowest and highest terrain under the scene: where a height is unknown, what lies between might be seen.
    image
        Its height and width.

    Returns
    -------
    blind, lon, lat
        Pixels that the image might show but whose terrain is unknown, and where the first of them is.
    """
    blind, blind_lon, blind_lat = 0, np.nan, np.nan
    for i in range(part[0], part[1]):
        p = i // step
        down = (i - p * step) / step
        for j in range(part[2], part[3]):
            q = j // step
            right = (j - q * step) / step
            # Weights of zero would carry a NaN over from nodes that the pixel does not need, so ask for none.
            below, beside = p + (down > 0.0), q + (right > 0.0)
            a, b = (1.0 - down) * (1.0 - right), (1.0 - down) * right
            c, d = down * (1.0 - right), down * right
            lon = a * nodes[0, p, q] + b * nodes[0, p, beside] + c * nodes[0, below, q] + d * nodes[0, below, beside]
            lat = a * nodes[1, p, q] + b * nodes[1, p, beside] + c * nodes[1, below, q] + d * nodes[1, below, beside]
            y = a * nodes[2, p, q] + b * nodes[2, p, beside] + c * nodes[2, below, q] + d * nodes[2, below, beside]
            x = a * nodes[3, p, q] + b * nodes[3, p, beside] + c * nodes[3, below, q] + d * nodes[3, below, beside]
            height = bilinear(heights, y - first_cell[0], x - first_cell[1])
            if np.isnan(height):
                if np.isfinite(lon + lat) and _might_be_seen(model, lon, lat, relief, image):
                    if blind == 0:
                        blind_lon, blind_lat = lon, lat
                    blind += 1
                r, s = np.nan, np.nan
            else:
                r, s = image_point(model, lon, lat, height)
            row[i + offset[0], j + offset[1]] = r
            col[i + offset[0], j + offset[1]] = s
    return blind, blind_lon, blind_lat


@njit(cache=True, nogil=True)
def _might_be_seen(model: Floats, lon: float, lat: float, relief: tuple[float, float], image: tuple[int, int]) -> bool:
    """Whether the image shows this place at some height: between the lowest and highest it moves about straight."""
    low_row, low_col = image_point(model, lon, lat, relief[0])
    high_row, high_col = image_point(model, lon, lat, relief[1])
    over_rows = max(low_row, high_row) >= -0.5 and min(low_row, high_row) < image[0] - 0.5
    return over_rows and max(low_col, high_col) >= -0.5 and min(low_col, high_col) < image[1] - 0.5


@njit(cache=True, nogil=True)
def image_window(
    row: Floats, col: Floats, part: tuple[int, int, int, int], image: tuple[int, int]
) -> tuple[int, int, int, int]:
    """First and last + 1 row, likewise column, of the image's pixels nearest to these positions; zeros for none."""
    top, bottom, left, right = image[0], 0, image[1], 0
    for i in range(part[0], part[1]):
        for j in range(part[2], part[3]):
            r, s = row[i, j], col[i, j]
            if -0.5 <= r < image[0] - 0.5 and -0.5 <= s < image[1] - 0.5:
                nearest_row, nearest_col = int(np.floor(r + 0.5)), int(np.floor(s + 0.5))
                top, bottom = min(top, nearest_row), max(bottom, nearest_row + 1)
                left, right = min(left, nearest_col), max(right, nearest_col + 1)
    if bottom == 0:
        return 0, 0, 0, 0
    return top, bottom, left, right


@njit(cache=True, nogil=True)
def resample(
    source: NDArray[np.generic],
    first: tuple[int, int],
    nodata: float,
    row: Floats,
    col: Floats,
    part: tuple[int, int, int, int],
    image: tuple[int, int],
    method: int,
    limits: tuple[float, float, float],
    result: NDArray[np.generic],
) -> None:
    """Fill in the pixels of a part whose position lies in the image; the others stay as they are.

    A pixel is valid where the nearest pixel of the source is. Neighbours that are missing (outside the image, nodata,
    NaN) have no weight; cubic needs all sixteen and is bilinear where one is missing.

    Parameters
    ----------
    source, first
        Pixels (bands, rows, columns) of the image and the row and column of the first; two pixels more than
        `image_window` on each side, where the image has them.
    nodata
        NaN for none.
    limits
        Lowest and highest value the result can hold (NaN: float, neither rounded nor limited), and its nodata, which no
        valid pixel may become.
    """
    low, high, fill = limits
    weights_row, weights_col = np.empty(4), np.empty(4)
    for i in range(part[0], part[1]):
        for j in range(part[2], part[3]):
            r, s = row[i, j], col[i, j]
            if not (-0.5 <= r < image[0] - 0.5 and -0.5 <= s < image[1] - 0.5):
                continue
            nearest_row, nearest_col = int(np.floor(r + 0.5)) - first[0], int(np.floor(s + 0.5)) - first[1]
            base_row, base_col = int(np.floor(r)), int(np.floor(s))
            down, right = r - base_row, s - base_col
            base_row, base_col = base_row - first[0], base_col - first[1]
            if method == CUBIC:
                _cubic_weights(down, weights_row)
                _cubic_weights(right, weights_col)
            for band in range(source.shape[0]):
                value = float(source[band, nearest_row, nearest_col])
                if value == nodata or np.isnan(value):
                    continue
                if method != NEAREST:
                    found = np.nan
                    if method == CUBIC:
                        found = _cubic_at(source[band], base_row, base_col, weights_row, weights_col, nodata)
                    if np.isnan(found):
                        found = _bilinear_at(source[band], base_row, base_col, down, right, nodata)
                    value = found
                if not np.isnan(low):
                    value = min(max(np.floor(value + 0.5), low), high)
                result[band, i, j] = value
                if float(result[band, i, j]) == fill:  # compared as stored: float32 rounds
                    result[band, i, j] = _beside(fill, low, high)


@njit(cache=True, nogil=True)
def _bilinear_at(pixels: NDArray[np.generic], row: int, col: int, down: float, right: float, nodata: float) -> float:
    """Mean of the four pixels from (row, col) on, those that are missing left out."""
    total, weight = 0.0, 0.0
    for i in range(2):
        for j in range(2):
            if not (0 <= row + i < pixels.shape[0] and 0 <= col + j < pixels.shape[1]):
                continue
            value = float(pixels[row + i, col + j])
            if value != nodata and not np.isnan(value):
                share = (down if i else 1.0 - down) * (right if j else 1.0 - right)
                total += share * value
                weight += share
    return total / weight


@njit(cache=True, nogil=True)
def _cubic_at(
    pixels: NDArray[np.generic], row: int, col: int, weights_row: Floats, weights_col: Floats, nodata: float
) -> float:
    """Weighted sum of the sixteen pixels around the cell from (row, col) on; NaN where one is missing."""
    if row < 1 or col < 1 or row + 2 >= pixels.shape[0] or col + 2 >= pixels.shape[1]:
        return np.nan
    total = 0.0
    for i in range(4):
        along = 0.0
        for j in range(4):
            value = float(pixels[row - 1 + i, col - 1 + j])
            if value == nodata:
                return np.nan
            along += weights_col[j] * value
        total += weights_row[i] * along
    return total


@njit(cache=True, nogil=True)
def _cubic_weights(t: float, weights: Floats) -> None:
    """Cubic convolution with a = -1/2 (Keys, IEEE ASSP 29(6), 1981), as GDAL has it."""
    weights[0] = t * (-0.5 + t * (1.0 - 0.5 * t))
    weights[1] = 1.0 + t * t * (-2.5 + 1.5 * t)
    weights[2] = t * (0.5 + t * (2.0 - 1.5 * t))
    weights[3] = t * t * (-0.5 + 0.5 * t)


@njit(cache=True, nogil=True)
def _beside(fill: float, low: float, high: float) -> float:
    """The nearest value to nodata that is none; for floats the next one up, as float32 has it."""
    if np.isnan(low):
        return float(np.nextafter(np.float32(fill), np.float32(np.inf)))
    return fill + 1.0 if fill < high else fill - 1.0
