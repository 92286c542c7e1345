"""All compiled code of `processing.sharpen`; in one file, as in `processing.kernel`, and no fastmath.

Each value depends on its own inputs alone, in one order. Channels come in single precision where that is enough, else
in double, and all is computed in that. Where a whole number of the pan's columns makes one of the bands, every n-th of
them has the same weights and its neighbours lie one behind the other: those are taken together, several at once.

    columns of the pan      0 1 2 3 4 5 6 7 …          0 4 8 … │ 1 5 9 … │ 2 6 … │ 3 7 …
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Pixels = NDArray[Any]
Floats = NDArray[np.floating[Any]]
Whole = NDArray[np.int64]

BROVEY, HPM, CBD = 0, 1, 2
"""Ways of sharpening."""


@njit(cache=True, nogil=True, error_model="numpy")
def sharpen(
    pan: Pixels,
    pan_nodata: float,
    channels: Floats,
    row_at: Whole,
    row_off: Floats,
    row_weights: Floats,
    col_at: Whole,
    col_off: Floats,
    col_weights: Floats,
    alike: int,
    method: int,
    weights: Floats,
    offsets: Floats,
    limits: tuple[float, float, float, float],
    result: Pixels,
) -> None:
    """Fill in the valid pixels; the others stay as they are.

    Parameters
    ----------
    pan
        Shape (rows, columns).
    pan_nodata
        NaN for none.
    channels
        Bands, L and gains as the method needs them, NaN where they are missing; shape (channels, rows, columns).
    row_at, row_off, row_weights
        A pixel of the pan lies `row_off` behind row `row_at` of the channels, which has one row before and two behind
        it. Weights of the rows from ``row_at - taps // 2 + 1`` on, shape (taps, rows); likewise for columns.
    alike
        So many columns of the pan make one of the bands, with the same weights again; 0 where no number does.
    limits
        As `processing.value_range.ValueRange`.
    result
        Shape (rows, columns, bands).
    """
    step = alike or 1
    most = -(-pan.shape[1] // step)
    before = row_weights.shape[0] // 2 - 1
    lines = np.empty((channels.shape[0], channels.shape[2]), dtype=channels.dtype)
    values = np.empty((channels.shape[0], most), dtype=channels.dtype)
    sharp, level = np.empty(most, dtype=channels.dtype), np.empty(most, dtype=channels.dtype)
    made = np.empty(most, dtype=result.dtype)
    for i in range(pan.shape[0]):
        _between_rows(channels, row_at[i] - before, row_weights[:, i], lines)
        for phase in range(min(step, pan.shape[1])):
            count = (pan.shape[1] - phase + step - 1) // step
            at, off = col_at[phase::step], col_off[phase::step]
            if alike:
                _between_even_cols(lines, at[0] - before, col_weights[:, phase], values, count)
            else:
                _between_cols(lines, at - before, col_weights, values)
            _complete(values, count, channels, row_at[i], at, row_off[i], off)
            for k in range(count):
                sharp[k] = pan[i, phase + k * step]
            _add_detail(sharp[:count], values, result.shape[2], method, weights, offsets, level[:count])
            for band in range(result.shape[2]):
                there = result[i, phase::step, band]
                _store(sharp[:count], pan_nodata, values[band][:count], limits, made[:count], there)


# Rows are taken out of arrays before slices are: the compiler then knows that their values lie one behind the other.


@njit(cache=True, nogil=True)
def _between_rows(channels: Floats, first: int, weights: Floats, lines: Floats) -> None:
    for c in range(channels.shape[0]):
        if weights.size == 2:
            _sum_of_two(channels[c, first], channels[c, first + 1], weights, lines[c])
        else:
            a, b, d, e = channels[c, first], channels[c, first + 1], channels[c, first + 2], channels[c, first + 3]
            _sum_of_four(a, b, d, e, weights, lines[c])


@njit(cache=True, nogil=True)
def _between_even_cols(lines: Floats, first: int, weights: Floats, values: Floats, count: int) -> None:
    """Of columns with the same weights, each one column of the bands behind the one before."""
    for c in range(lines.shape[0]):
        line, value = lines[c][first:], values[c][:count]
        if weights.size == 2:
            _sum_of_two(line, line[1:], weights, value)
        else:
            _sum_of_four(line, line[1:], line[2:], line[3:], weights, value)


@njit(cache=True, nogil=True)
def _sum_of_two(a: Floats, b: Floats, weights: Floats, total: Floats) -> None:
    u, v = weights[0], weights[1]
    for k in range(total.size):
        total[k] = u * a[k] + v * b[k]


@njit(cache=True, nogil=True)
def _sum_of_four(a: Floats, b: Floats, c: Floats, d: Floats, weights: Floats, total: Floats) -> None:
    u, v, w, x = weights[0], weights[1], weights[2], weights[3]
    for k in range(total.size):
        total[k] = ((u * a[k] + v * b[k]) + w * c[k]) + x * d[k]


@njit(cache=True, nogil=True)
def _between_cols(lines: Floats, first: Whole, weights: Floats, values: Floats) -> None:
    for c in range(lines.shape[0]):
        line, value = lines[c], values[c]
        if weights.shape[0] == 2:
            for k in range(first.size):
                at = first[k]
                value[k] = weights[0, k] * line[at] + weights[1, k] * line[at + 1]
            continue
        for k in range(first.size):
            at = first[k]
            two = weights[0, k] * line[at] + weights[1, k] * line[at + 1]
            value[k] = (two + weights[2, k] * line[at + 2]) + weights[3, k] * line[at + 3]


@njit(cache=True, nogil=True)
def _complete(values: Floats, count: int, channels: Floats, row: int, at: Whole, down: float, off: Floats) -> None:
    """Where not all neighbours are known, the mean of those that are."""
    for c in range(values.shape[0]):
        value, unknown = values[c][:count], 0
        for k in range(value.size):
            unknown += value[k] != value[k]
        if unknown:
            for k in range(value.size):
                if np.isnan(value[k]):
                    value[k] = _among_known(channels[c], row, at[k], down, off[k])


@njit(cache=True, nogil=True)
def _among_known(channel: Floats, row: int, col: int, down: float, right: float) -> float:
    """Bilinear mean of those of four pixels that are known; NaN where the nearest one is not."""
    if np.isnan(channel[row + (down >= 0.5), col + (right >= 0.5)]):
        return np.nan
    total, weight = 0.0, 0.0
    for i in range(2):
        for j in range(2):
            value = channel[row + i, col + j]
            if not np.isnan(value):
                share = (down if i else 1.0 - down) * (right if j else 1.0 - right)
                total += share * value
                weight += share
    return total / weight


@njit(cache=True, nogil=True, error_model="numpy")
def _add_detail(
    sharp: Floats, values: Floats, bands: int, method: int, weights: Floats, offsets: Floats, level: Floats
) -> None:
    """Sharpen the bands of some columns, which come first among their values; ``level`` is for notes."""
    zero, one, count = values.dtype.type(0), values.dtype.type(1), sharp.size
    if method == BROVEY:
        level[:] = offsets[0]
        for band in range(bands):
            value, weight = values[band][:count], weights[band]
            for k in range(count):
                level[k] += weight * value[k]
        for k in range(count):
            level[k] = sharp[k] / level[k] if level[k] > zero else one
        for band in range(bands):
            value = values[band][:count]
            for k in range(count):
                value[k] *= level[k]
        return
    low = values[bands][:count]
    for band in range(bands):
        value = values[band][:count]
        if method == HPM:
            weight, offset = weights[band], offsets[band]
            for k in range(count):
                divisor = weight * low[k] + offset
                wanted = weight * sharp[k] + offset
                value[k] *= wanted / divisor if divisor > zero else one
        else:
            gain = values[bands + 1 + band][:count]
            for k in range(count):
                value[k] += gain[k] * (sharp[k] - low[k])


@njit(cache=True, nogil=True)
def _store(
    sharp: Floats,
    pan_nodata: float,
    values: Floats,
    limits: tuple[float, float, float, float],
    made: Pixels,
    result: Pixels,
) -> None:
    """Fill in the valid pixels of some columns of a band; ``made`` is for notes.

    Whole numbers are all made first, the missing ones as what stands there, which takes no branch.
    """
    kind = values.dtype.type
    half, missing = kind(0.5), kind(pan_nodata)
    low, high, fill, beside = kind(limits[0]), kind(limits[1]), kind(limits[2]), kind(limits[3])
    if np.isnan(limits[0]):
        for k in range(values.size):
            if sharp[k] == missing or np.isnan(sharp[k]) or np.isnan(values[k]):
                continue
            result[k] = values[k]
            if float(result[k]) == limits[2]:  # compared as stored: float32 rounds
                result[k] = limits[3]
        return
    blank = kind(0) if np.isnan(fill) else fill
    for k in range(values.size):
        rounded = min(max(np.floor(values[k] + half), low), high)
        rounded = beside if rounded == fill else rounded
        known = (sharp[k] != missing) & (sharp[k] == sharp[k]) & (values[k] == values[k])
        made[k] = rounded if known else blank
    for k in range(values.size):
        result[k] = made[k]


@njit(cache=True, nogil=True)
def gains(channels: Floats, around: int, largest: Floats) -> Floats:
    """Slope of the regression of each band on L over the known pixels around, from 0 to the largest; 0 over flat ones.

    Shape (bands, rows, columns); NaN where the pixel itself is missing. Those at the edges, whose surroundings are cut
    off, are margin.
    """
    bands, height, width = channels.shape[0] - 1, channels.shape[1], channels.shape[2]
    found = np.full((bands, height, width), np.nan)
    mean, both = np.empty(bands + 1), np.empty(bands + 1)
    for row in range(height):
        for col in range(width):
            if np.isnan(channels[bands, row, col]):
                continue
            top, bottom = max(row - around, 0), min(row + around + 1, height)
            left, right = max(col - around, 0), min(col + around + 1, width)
            _products(channels[:, top:bottom, left:right], mean, both)
            for band in range(bands):
                slope = both[band] / both[bands] if both[bands] > 0.0 else 0.0
                found[band, row, col] = min(max(slope, 0.0), largest[band])
    return found


@njit(cache=True, nogil=True)
def _products(channels: Floats, mean: Floats, both: Floats) -> None:
    """Sums over the known pixels of the products of each channel's deviation with that of the last one."""
    last, count = channels.shape[0] - 1, 0
    mean[:], both[:] = 0.0, 0.0
    for i in range(channels.shape[1]):
        for j in range(channels.shape[2]):
            if not np.isnan(channels[last, i, j]):
                count += 1
                for c in range(last + 1):
                    mean[c] += channels[c, i, j]
    for c in range(last + 1):
        mean[c] /= count
    for i in range(channels.shape[1]):
        for j in range(channels.shape[2]):
            off = channels[last, i, j] - mean[last]
            if not np.isnan(off):
                for c in range(last + 1):
                    both[c] += off * (channels[c, i, j] - mean[c])
