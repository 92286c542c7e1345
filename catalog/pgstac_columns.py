"""What is read of very many items of a pgstac database: a few values of each, out of few columns."""

from collections.abc import Sequence
from typing import Any

import shapely

from catalog import aggregate, antimeridian
from catalog.pgstac_filter import MOMENT, PgstacDialect


class Pick:
    """One of the columns that `catalog.aggregate.columns` names."""

    def __init__(self, name: str, dialect: PgstacDialect) -> None:
        self._name = name
        match name:
            case "datetime":
                self.columns: tuple[str, ...] = (f"overflight.micros({MOMENT})",)
            case "collection":
                self.columns = ("i.collection",)
            case aggregate.LON | aggregate.LAT:
                self.columns = BOX
            case _:
                self.columns = dialect.sort_values(name)

    def value(self, values: Sequence[Any]) -> object:
        """Its value, out of those of its columns."""
        if self._name not in (aggregate.LON, aggregate.LAT):
            return next((value for value in values if value is not None), None)
        box = read_box(values)
        if box is None:
            return None
        west, south, east, north = box
        if self._name == aggregate.LAT:
            return (south + north) / 2
        middle = (west + east) / 2 if west <= east else (west + east + 360) / 2
        return middle - 360 if middle > 180 else middle


BOX = (
    "ST_XMin(i.geometry)",
    "ST_YMin(i.geometry)",
    "ST_XMax(i.geometry)",
    "ST_YMax(i.geometry)",
    """CASE WHEN ST_XMin(i.geometry) <= -180 OR ST_XMax(i.geometry) >= 180
        OR ST_XMax(i.geometry) - ST_XMin(i.geometry) > 180 THEN ST_AsBinary(i.geometry) END""",
)
"""Of an item, for `read_box`: the outline where the narrowest box may be another one (see `catalog.document`)."""


def read_box(values: Sequence[Any]) -> antimeridian.Box | None:
    """The narrowest box around an item; west > east crosses the antimeridian."""
    *bounds, outline = values
    if bounds[0] is None:
        return None
    if outline is not None:
        return antimeridian.narrowest_box(shapely.from_wkb(outline))
    west, south, east, north = bounds
    return (west, south, east, north)
