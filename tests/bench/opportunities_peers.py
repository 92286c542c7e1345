"""Passes by tatc and by skyfield, run in the peers' environment: a question as JSON comes in, spans and seconds go out.

    python opportunities_peers.py tatc|skyfield < question.json > answer.json

It imports nothing of ours, which that environment does not have.
"""

import json
import sys
import time
from datetime import UTC, datetime

import numpy as np

STEP_S = 10.0
"""Of skyfield's search."""


def with_tatc(question):
    from shapely.geometry import Point
    from tatc.analysis import collect_observations
    from tatc.schemas import GeneralPerturbationsOrbit, Instrument, Satellite

    points = [Point(lon, lat) for lon, lat in zip(question["lon"], question["lat"], strict=True)]
    camera = Instrument(name="camera", field_of_regard=2 * question["limit_deg"])
    start, end = (datetime.fromtimestamp(question[key], UTC) for key in ("start", "end"))
    satellites = [
        Satellite(name=str(index), orbit=GeneralPerturbationsOrbit.from_tle(tle), instruments=[camera])
        for index, tle in enumerate(question["tles"])
    ]
    began = time.process_time(), time.perf_counter()
    found = collect_observations(points, satellites, start, end)
    seconds = time.process_time() - began[0], time.perf_counter() - began[1]
    places = {(x, y): index for index, (x, y) in enumerate(zip(question["lon"], question["lat"], strict=True))}
    spans = [
        [places[one.geometry.x, one.geometry.y], int(one.satellite), one.start.timestamp(), one.end.timestamp()]
        for one in found.itertuples()
    ]
    return seconds, spans


def with_skyfield(question):
    """Sampled at even steps for all times at once, sign changes refined by bisection for all at once."""
    from skyfield.api import EarthSatellite, load, wgs84

    scale = load.timescale(builtin=True)
    places = [wgs84.latlon(lat, lon) for lon, lat in zip(question["lon"], question["lat"], strict=True)]
    satellites = [EarthSatellite(*tle, None, scale) for tle in question["tles"]]
    start, end = question["start"], question["end"]
    began = time.process_time(), time.perf_counter()
    offsets = np.linspace(0, end - start, round((end - start) / STEP_S) + 1)
    spans = []
    for index, satellite in enumerate(satellites):
        seen = _Seen(satellite, scale, start, offsets)
        for number, place in enumerate(places):
            margin = seen.margin(place, question["limit_deg"])
            rises = np.flatnonzero((margin[:-1] < 0) & (margin[1:] >= 0))
            falls = np.flatnonzero((margin[:-1] >= 0) & (margin[1:] < 0))
            failing = np.concatenate([offsets[rises], offsets[falls + 1]])
            holding = np.concatenate([offsets[rises + 1], offsets[falls]])
            for _ in range(14):  # to a millisecond
                if not failing.size:
                    break
                middle = (failing + holding) / 2
                holds = _Seen(satellite, scale, start, middle).margin(place, question["limit_deg"]) >= 0
                failing, holding = np.where(holds, failing, middle), np.where(holds, middle, holding)
            first, last = list(holding[: rises.size]), list(holding[rises.size :])
            if margin[0] >= 0:
                first.insert(0, 0.0)
            if margin[-1] >= 0:
                last.append(end - start)
            spans += [[number, index, start + a, start + b] for a, b in zip(first, last, strict=True)]
    return (time.process_time() - began[0], time.perf_counter() - began[1]), spans


class _Seen:
    """A satellite at several times, seen with skyfield's frames, nutation and UT1."""

    def __init__(self, satellite, scale, start, offsets):
        from skyfield.api import wgs84
        from skyfield.framelib import itrs

        moment = datetime.fromtimestamp(start, UTC)
        seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + offsets
        there = satellite.at(scale.utc(moment.year, moment.month, moment.day, 0, 0, seconds))
        self.position = there.frame_xyz(itrs).m
        below = wgs84.geographic_position_of(there)
        self.up = _vertical(below.latitude.radians, below.longitude.radians)

    def margin(self, place, limit_deg):
        """Degrees within the limit, negative below the horizon."""
        sight = self.position - place.itrs_xyz.m[:, None]
        away = np.sqrt((sight**2).sum(axis=0))
        off_nadir = np.degrees(np.arccos(np.clip((sight * self.up).sum(axis=0) / away, -1, 1)))
        above = _vertical(place.latitude.radians, place.longitude.radians) @ sight > 0
        return np.where(above, limit_deg - off_nadir, -90.0)


def _vertical(lat, lon):
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


if __name__ == "__main__":
    seconds, spans = {"tatc": with_tatc, "skyfield": with_skyfield}[sys.argv[1]](json.load(sys.stdin))
    json.dump({"cpu_s": seconds[0], "wall_s": seconds[1], "spans": spans}, sys.stdout)
