"""SPOT 5's daily photographs (Bensana, Lemaître & Verfaillie 1999, "Earth observation satellite management").

A file says, a line each:

    number of photographs
    number, weight, cameras, then camera and memory for each, and what we do not need   (cameras 1, 2, 3, or 13: both)
    number of constraints
    2 or 3, as many photographs, then combinations of their cameras that are forbidden
    capacity of the memory, in the multi-orbit files

In the multi-orbit files the memory counts in units of 451, and 200 of them are the capacity that is used in the
literature, whatever the file says (Vasquez & Hao 2001).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasking.planning.problem import Limit, Problem

UNIT, CAPACITY = 451, 200
SPACING_S = 10.0
"""No slewing in these files: candidates stand far enough apart in time, whatever is forbidden is listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographs:
    """One file."""

    problem: Problem

    photograph: tuple[int, ...]
    """(n) the number of each candidate's photograph in the file."""

    camera: tuple[int, ...]
    """(n) its camera."""


def read(text: str) -> Photographs:
    """Read a `.spot` file.

    Raises
    ------
    ValueError
        A line that is not as it should be, named by what it is to say.
    """
    lines = iter([line.split() for line in text.splitlines() if line.strip()])
    photographs = [_photograph(_next(lines, "a photograph")) for _ in range(int(_next(lines, "the number")[0]))]
    constraints = [_next(lines, "a constraint") for _ in range(int(_next(lines, "the number of constraints")[0]))]
    bounded = next(lines, None) is not None
    candidates = [
        (number, camera, weight, memory)
        for number, weight, cameras in photographs
        for camera, memory in cameras.items()
    ]
    place = {(number, camera): k for k, (number, camera, _, _) in enumerate(candidates)}
    order = {number: k for k, (number, _, _) in enumerate(photographs)}
    forbidden = {group for row in constraints for group in _forbidden(row, place)}
    start = SPACING_S * np.arange(len(candidates))
    used = np.array([round(memory / UNIT) for *_, memory in candidates], dtype=float)
    problem = Problem(
        strips=len(photographs),
        satellite=np.zeros(len(candidates), dtype=np.int32),
        strip=np.array([order[number] for number, *_ in candidates], dtype=np.int32),
        start=start,
        end=start + 1.0,
        attitude_deg=np.zeros((len(candidates), 4)),
        value=np.array([weight for _, _, weight, _ in candidates], dtype=float),
        settle_s=np.zeros(1),
        slew_deg_s=np.ones(1),
        limits=(_memory(used),) if bounded else (),
        forbidden=tuple(sorted(forbidden)),
    )
    return Photographs(
        problem=problem, photograph=tuple(one[0] for one in candidates), camera=tuple(one[1] for one in candidates)
    )


def _memory(used: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Limit:
    slot = np.zeros(used.size, dtype=np.int32)
    return Limit(name="memory", use=used, slot=slot, release=np.full(1, np.inf), capacity=np.full(1, float(CAPACITY)))


def _next(lines: Iterator[list[str]], what: str) -> list[str]:
    row = next(lines, None)
    if row is None:
        raise ValueError(f"the file ends where {what} should stand")
    return row


def _photograph(row: list[str]) -> tuple[int, float, dict[int, float]]:
    """Number, weight, memory by camera."""
    count = int(row[2])
    if len(row) < 3 + 2 * count:
        raise ValueError(f"photograph {row[0]}: {count} cameras need {2 * count} numbers; {len(row) - 3} stand there")
    pairs = zip(row[3 : 3 + 2 * count : 2], row[4 : 4 + 2 * count : 2], strict=True)
    return int(row[0]), float(row[1]), {int(camera): float(memory) for camera, memory in pairs}


def _forbidden(row: list[str], place: dict[tuple[int, int], int]) -> Iterator[tuple[int, ...]]:
    """Sets of candidates that a constraint forbids; combinations with a camera that is not offered forbid nothing."""
    size = int(row[0])
    numbers, cameras = [int(one) for one in row[1 : 1 + size]], [int(one) for one in row[1 + size :]]
    if size < 2 or len(numbers) < size or len(cameras) % size:
        raise ValueError(f"constraint {' '.join(row)!r}: {size} photographs, then sets of {size} cameras each")
    for first in range(0, len(cameras), size):
        keys = list(zip(numbers, cameras[first : first + size], strict=True))
        if all(key in place for key in keys):
            yield tuple(sorted(place[key] for key in keys))
