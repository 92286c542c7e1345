"""What can be asked, and what cannot."""

import pytest
import shapely

from catalog.errors import InvalidExtentError, InvalidSearchError
from catalog.extent import BBox
from catalog.search import MAX_LIMIT, Search
from tests.catalog.documents import box


@pytest.mark.parametrize("limit", [1, MAX_LIMIT])
def test_limits(limit):
    assert Search(limit=limit).limit == limit


@pytest.mark.parametrize("limit", [0, -5, MAX_LIMIT + 1, 10**9])
def test_limits_out_of_bounds(limit):
    with pytest.raises(InvalidSearchError, match=f"limit: {limit} is out of bounds; give 1 to {MAX_LIMIT}"):
        Search(limit=limit)


def test_one_place_only():
    with pytest.raises(InvalidSearchError, match="one of the two"):
        Search(bbox=BBox.of([0, 0, 1, 1]), intersects=box(0, 0, 1, 1))


@pytest.mark.parametrize(("bbox", "wkt"), [
    ([1, 2, 3, 4], "POLYGON ((1 2, 3 2, 3 4, 1 4, 1 2))"),
    ([1, 2, 1, 4], "LINESTRING (1 2, 1 4)"),
    ([1, 2, 3, 2], "LINESTRING (1 2, 3 2)"),
    ([1, 2, 1, 2], "POINT (1 2)"),
    ([170, 0, -170, 1], "MULTIPOLYGON (((170 0, 180 0, 180 1, 170 1, 170 0)), ((-180 0, -170 0, -170 1, -180 1, -180 0)))"),  # noqa: E501
    ([170, 0, -180, 1], "POLYGON ((170 0, 180 0, 180 1, 170 1, 170 0))"),
    ([180, 0, -180, 0], "POINT (180 0)"),
])  # fmt: skip
def test_the_place_of_a_box(bbox, wkt):
    """A box without width or height is a line or a point, not nothing."""
    assert shapely.equals(Search(bbox=BBox.of(bbox)).place(), shapely.from_wkt(wkt))


def test_the_place_of_a_geometry():
    assert Search().place() is None
    across = Search(intersects=box(170, 0, -170, 1)).place()
    assert shapely.equals(across, Search(bbox=BBox.of([170, 0, -170, 1])).place())
    with pytest.raises(InvalidExtentError, match="geometry"):
        Search(intersects={"type": "Circle"}).place()
