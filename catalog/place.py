"""Where a search looks: boxes for the indexes, and an outline for those items that the boxes leave in doubt."""

from collections.abc import Sequence
from functools import cached_property

import shapely
from shapely.geometry.base import BaseGeometry

from catalog import antimeridian
from catalog.antimeridian import Box
from catalog.extent import BBox
from catalog.geometry import convex_touches
from catalog.search import Search


class Place:
    """A box or any other shape; nothing of it is worked out before it is needed."""

    def __init__(self, *, box: BBox | None = None, shape: BaseGeometry | None = None) -> None:
        """Give one of the two; a shape is cut at the antimeridian."""
        self._box = box
        self._shape = shape

    @classmethod
    def of(cls, search: Search) -> "Place | None":
        """Where `bbox` or `intersects` look; None is everywhere.

        Raises
        ------
        InvalidExtentError
            `intersects` is no valid GeoJSON geometry on Earth.
        """
        if search.bbox is not None:
            return cls(box=search.bbox)
        return None if search.intersects is None else cls(shape=search.place())

    @property
    def is_boxes(self) -> bool:
        """Whether it is nothing but `boxes`: what lies in one of them touches it for sure."""
        return self._box is not None

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """Around its parts; a box away from the seams of the map is its own."""
        box = self._box
        if box is not None and -180 < box.west <= box.east < 180 and -90 < box.south and box.north < 90:
            return (box.as_tuple(),)
        return antimeridian.boxes(self.outline)

    def touches(self, outlines: Sequence[bytes]) -> Sequence[bool]:
        """Which outlines, as WKB, share a point with the place."""
        if self._is_plain:
            seen = [convex_touches(outline, self.boxes[0]) for outline in outlines]
            if None not in seen:  # as for nearly every page of scenes
                return [touch is True for touch in seen]
        found: Sequence[bool] = shapely.intersects(self.outline, shapely.from_wkb(outlines))
        return found

    @property
    def _is_plain(self) -> bool:
        """Whether it is one box, away from the seams of the map."""
        return self._box is not None and self.boxes == (self._box.as_tuple(),)

    @cached_property
    def outline(self) -> BaseGeometry:
        """The place with every spelling of its points at ±180° and at the poles, prepared for comparing."""
        drawn = self._shape if self._box is None else self._box.geometry()
        assert drawn is not None
        whole = antimeridian.with_seams(drawn)
        shapely.prepare(whole)
        return whole
