"""What the camera's detectors see: rays met with the ground, lit by the Sun, behind clouds.

Every panchromatic pixel is one ray. A multispectral pixel is the mean of the ratio × ratio rays inside it, as a larger
detector gathers the light of its whole area. Lines are independent of each other: blocks of them are exposed in
threads.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasking.provider.sandbox.acquisition import Acquisition
from tasking.provider.sandbox.clouds import BRIGHTNESS, CLOUDY, opacity
from tasking.provider.sandbox.earth import Floats, meet
from tasking.provider.sandbox.landcover import paint

DN_PER_REFLECTANCE = 4000.0
MAX_DN = 4095
"""Twelve bits; 0 is left for no data."""

_BLOCK_LINES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Some neighbouring lines, in all that is delivered of them."""

    first_line: int
    """Of the panchromatic raster; a multiple of the ratio."""

    pan: NDArray[np.uint16]
    """(lines, columns)."""

    multispectral: NDArray[np.uint16]
    """(bands, lines / ratio, columns / ratio)."""

    cloudy: NDArray[np.uint8]
    """(lines / ratio, columns / ratio): 1 cloud, 0 clear."""


def expose(acquisition: Acquisition, *, clouds: bool = True) -> Iterator[Exposure]:
    """The whole picture from the first line to the last, in pieces.

    Parameters
    ----------
    clouds
        False: as if the sky were clear.
    """
    ratio = acquisition.satellite.sensor.multispectral_ratio
    step = max(_BLOCK_LINES // ratio, 1) * ratio
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    starts = list(range(0, acquisition.camera.rows, step))
    with ThreadPoolExecutor(threads) as pool:
        for at in range(0, len(starts), 4 * threads):  # not all at once: a long strip would fill the memory
            some = starts[at : at + 4 * threads]
            yield from pool.map(lambda first: _expose(acquisition, first, step, clouds=clouds), some)


def _expose(acquisition: Acquisition, first: int, count: int, *, clouds: bool) -> Exposure:
    camera, sun, when = acquisition.camera, acquisition.sun, acquisition.middle
    lines = np.arange(first, min(first + count, camera.rows))
    origin, boresight, left = camera.lines(lines)
    tangents = camera.tangents(np.arange(camera.columns))
    hits = meet(origins=origin, ahead=boresight, across=left, tangents=tangents)
    ratio = acquisition.satellite.sensor.multispectral_ratio
    veil = np.zeros(hits.shape[:2])
    if clouds:
        toward = -(boresight[:, None, :] + tangents[None, :, None] * left[:, None, :])
        veil = opacity(hits, toward, when, every=ratio)
        light = paint(hits, sun=sun, sunlight=1 - 0.9 * opacity(hits, sun, when, every=ratio))
        if veil.any():
            light += veil[..., None] * (BRIGHTNESS - light)
    else:
        light = paint(hits, sun=sun)
    return Exposure(
        first_line=first,
        pan=digital_numbers(light[..., 4]),
        multispectral=digital_numbers(np.moveaxis(gathered(light[..., :4], ratio), -1, 0)),
        cloudy=(gathered(veil[..., None], ratio)[..., 0] > CLOUDY).astype(np.uint8),
    )


def gathered(values: Floats, ratio: int) -> Floats:
    """Means over ratio × ratio pixels of (rows, columns, bands)."""
    rows, columns, bands = values.shape
    blocks = values.reshape(rows // ratio, ratio, columns // ratio, ratio, bands)
    means: Floats = blocks.mean(axis=(1, 3))
    return means


def digital_numbers(light: Floats) -> NDArray[np.uint16]:
    """What the sensor's converter makes of brightness."""
    numbers: NDArray[np.uint16] = np.clip(np.rint(light * DN_PER_REFLECTANCE), 1, MAX_DN).astype(np.uint16)
    return numbers
