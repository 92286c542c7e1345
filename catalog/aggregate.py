"""Figures over all items that a search finds: counts, ranges, histograms, grids, terms (STAC API – Aggregation)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """A figure that is asked for."""

    name: str
    """As the client asks for it, and as the answer names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """A figure."""

    name: str


def columns(wanted: Sequence[Aggregation]) -> tuple[str, ...]:
    """What a store reads of every item: ``datetime`` (µs), ``collection``, ``lon``, ``lat`` (centre), or a property."""
    raise NotImplementedError


def fold(wanted: Sequence[Aggregation], rows: Iterable[tuple[object, ...]]) -> Sequence[Aggregate]:
    """Add up rows of those columns."""
    raise NotImplementedError
