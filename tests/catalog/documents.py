"""Documents, and hypothesis strategies for shapes that cross whatever can be crossed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import shapely
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import mapping

from catalog.extent import format_time


def collection(name="scenes", **more):
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": name,
        "description": "scenes of a test",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]},
        },
        "links": [],
        **more,
    }


def item(name="one", *, geometry=None, bbox=None, at="2026-01-01T00:00:00Z", collection="scenes", **properties):
    geometry = geometry or {"type": "Point", "coordinates": [5.0, 44.0]}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "collection": collection,
        "geometry": geometry,
        "bbox": bbox or list(shapely.geometry.shape(geometry).bounds),
        "properties": {"datetime": at, **properties},
        "assets": {},
        "links": [],
    }


def box(west, south, east, north):
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


@dataclass(frozen=True)
class Drawn:
    """A shape on a cylinder: longitudes go on past ±180, so that the plane's own rules hold."""

    shape: object

    def geojson(self, spelling):
        """As somebody might write it: with longitudes beyond 180, or brought back one by one."""
        if spelling == "beyond":
            return plain(self.shape)
        return plain(shapely.transform(self.shape, _brought_back))

    def touches(self, other):
        """The oracle: touching on the globe is touching of any two turns of the cylinder, or the same pole."""
        turns = (affinity.translate(self.shape, 360 * turn) for turn in (-2, -1, 0, 1, 2))
        if any(turn.intersects(other.shape) for turn in turns):
            return True
        poles = [
            {pole for pole in (-90, 90) if pole in (one.bounds[1], one.bounds[3])} for one in (self.shape, other.shape)
        ]
        return bool(poles[0] & poles[1])


def plain(shape):
    import json

    return json.loads(json.dumps(mapping(shape)))


def _brought_back(xy):
    xy = xy.copy()
    xy[:, 0] = (xy[:, 0] + 180) % 360 - 180
    return xy


# Quarters of a degree are exact in binary, so that shapes that should just touch do.
longitudes = st.integers(-720, 720).map(lambda quarters: quarters / 4)
latitudes = st.integers(-360, 360).map(lambda quarters: quarters / 4)
seams = st.sampled_from([-180.0, -179.75, 0.0, 179.75, 180.0])


SIMPLE = ("Point", "LineString", "Polygon", "Box", "MultiPolygon", "MultiPoint")
anywhere = st.tuples(longitudes | seams, latitudes, st.integers(1, 160), st.integers(1, 80))
nearby = st.tuples(
    st.sampled_from([-180.0, -179.0, 0.0, 1.0, 178.0, 179.0, 180.0]),
    st.sampled_from([-90.0, -1.0, 0.0, 1.0, 88.0, 89.0]),
    st.sampled_from([4, 8, 16]),
    st.sampled_from([4, 8, 16]),
)
"""Corner and size in quarters of a degree, so few of them that shapes meet in every way."""


@st.composite
def drawn(draw, kinds=(*SIMPLE, "GeometryCollection"), places=anywhere):
    kind = draw(st.sampled_from(kinds))
    west, south, width, height = draw(places)
    width, height = width / 4, height / 4
    north = min(90.0, south + height)
    south = min(south, north - 0.25)
    east = west + width
    middle = (west + east) / 2
    quad = shapely.box(west, south, east, north)
    diamond = shapely.Polygon(
        [(middle, south), (east, (south + north) / 2), (middle, north), (west, (south + north) / 2)]
    )
    line = shapely.LineString([(west, south), (middle, north), (east, south)])
    far = affinity.translate(diamond, draw(st.sampled_from([50, 90])))
    return Drawn(
        {
            "Point": shapely.Point(west, south),
            "LineString": line,
            "Polygon": diamond,
            "Box": quad,
            "MultiPolygon": shapely.MultiPolygon([diamond, far]),
            "MultiPoint": shapely.MultiPoint([(west, south), (east, north)]),
            "GeometryCollection": shapely.GeometryCollection([line, far]),
        }[kind]
    )


moments = st.integers(0, 40).map(lambda day: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))


@st.composite
def spans(draw):
    """Start, end, and how an item writes them."""
    start = draw(moments)
    if draw(st.booleans()):
        return start, start, {"datetime": format_time(start)}
    end = start + timedelta(days=draw(st.integers(0, 20)))
    written = {"start_datetime": format_time(start), "end_datetime": format_time(end)}
    return start, end, {**written, "datetime": draw(st.sampled_from([None, format_time(start)]))}
