"""What a search of the workload has to find, by a look at every item: for sizes that no peer is loaded with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import shapely


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """All items of one collection, one a row."""

    ids: np.ndarray
    times: np.ndarray
    clouds: np.ndarray

    rings: np.ndarray
    """Corners of the footprints, all of which are quadrangles: shape (items, 5, 2), longitude and latitude."""

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> Self:
        """Keep what is searched by."""
        rows = [
            (
                item["id"],
                item["properties"]["datetime"].removesuffix("Z"),
                item["properties"]["eo:cloud_cover"],
                np.array(item["geometry"]["coordinates"][0]),
            )
            for item in documents
        ]
        ids, times, clouds, rings = zip(*rows, strict=True)
        return cls(
            ids=np.array(ids),
            times=np.array(times, dtype="datetime64[ms]"),
            clouds=np.array(clouds),
            rings=np.stack(rings),
        )

    def search(self, body: Mapping[str, Any]) -> list[str]:
        """Ids of the first page, in order."""
        rows = np.flatnonzero(self._in_time(body) & self._clear(body))
        if "bbox" in body:
            rows = rows[self._within(rows, body["bbox"])]
        if "sortby" in body and body["sortby"][0] == {"field": "properties.eo:cloud_cover", "direction": "asc"}:
            order = np.lexsort((self.ids[rows], self.clouds[rows]))
        else:  # newest first
            order = np.lexsort((self.ids[rows], self.times[rows]))[::-1]
        return self.ids[rows[order[: body["limit"]]]].tolist()

    def _in_time(self, body: Mapping[str, Any]) -> np.ndarray:
        if "datetime" not in body:
            return np.ones(len(self.ids), dtype=bool)
        first, last = (np.datetime64(moment.removesuffix("Z")) for moment in body["datetime"].split("/"))
        return (first <= self.times) & (self.times <= last)

    def _clear(self, body: Mapping[str, Any]) -> np.ndarray:
        """The only filter of the workload is a largest cloud cover."""
        return self.clouds < (body["filter"]["args"][1] if "filter" in body else np.inf)

    def _within(self, rows: np.ndarray, bbox: list[float]) -> np.ndarray:
        west, south, east, north = bbox
        low, high = self.rings[rows].min(axis=1), self.rings[rows].max(axis=1)
        near = (low <= (east, north)).all(axis=1) & (high >= (west, south)).all(axis=1)
        near[near] = shapely.intersects(shapely.polygons(self.rings[rows[near]]), shapely.box(*bbox))
        return near
