"""Made-up planning problems: strips around cities, seen by sun-synchronous satellites on one day.

Circular orbits 600 km high, on the half that flies south in the morning; the Earth turns below. A satellite looks up to
40 degrees aside and ahead; each pass over a strip is sampled at several pitches. It turns at 2°/s after 6 s to settle,
and acquires for at most 240 s an orbit. A strip is worth its priority (1 to 10) × the chance of a clear sky × how
straight down it is seen.
"""

from collections.abc import Iterator

import numpy as np

from tasking.planning.problem import Floats, Integers, Limit, Problem

DAY_S = 86_400.0
EARTH_M, HEIGHT_M = 6_371_000.0, 600_000.0
ORBIT_S = 2 * np.pi * np.sqrt((EARTH_M + HEIGHT_M) ** 3 / 3.986004418e14)
EARTH_TURN = 2 * np.pi / 86_164.0905
INCLINATION = np.radians(97.8)
WIDEST_DEG = 40.0
SETTLE_S, SLEW_DEG_S = 6.0, 2.0
ON_TIME_S = 240.0
GROUND_M_S = 6_900.0
PITCHES_DEG = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)

MEMORY_GB, DOWNLINK_GB_S, RECORD_GB_S = 150.0, 0.3, 0.4
BATTERY_WH, CHARGE_WH, DRAW_WH_S = 60.0, 45.0, 0.25
"""What acquisitions may draw before the battery is too low, what an orbit's sunlit part gives back, what a second of
acquisition draws."""


def generate(
    strips: int,
    satellites: int,
    *,
    seed: int = 0,
    limits: tuple[str, ...] = ("on-time",),
    on_time_s: float = ON_TIME_S,
) -> Problem:
    """A day's problem; the same for the same arguments. Limits: ``on-time``, ``storage``, ``energy``."""
    random = np.random.default_rng(seed)
    places, duration, worth = _strips(random, strips)
    clear = random.uniform(0.15, 0.95, size=(strips, 8))
    parts = [
        _seen(places, duration, node, phase, satellite)
        for satellite, (node, phase) in enumerate(_orbits(random, satellites))
    ]
    satellite, strip, start, roll, pitch = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((strip, start, satellite))
    satellite, strip, start, roll, pitch = (one[order] for one in (satellite, strip, start, roll, pitch))
    end = start + duration[strip]
    weather = clear[strip, (start / DAY_S * 8).astype(int) % 8]
    quality = 1.0 - 0.6 * (np.hypot(roll, pitch) / WIDEST_DEG) ** 2
    attitude = np.stack([roll, pitch, roll, pitch], axis=1)
    known = {
        "on-time": lambda: _on_time(satellite, start, end, satellites, on_time_s),
        "storage": lambda: _storage(satellite, start, end, random, satellites),
        "energy": lambda: _energy(satellite, start, end, satellites),
    }
    return Problem(
        strips=strips,
        satellite=satellite.astype(np.int32),
        strip=strip.astype(np.int32),
        start=start,
        end=end,
        attitude_deg=attitude,
        value=worth[strip] * weather * quality,
        settle_s=np.full(satellites, SETTLE_S),
        slew_deg_s=np.full(satellites, SLEW_DEG_S),
        limits=tuple(known[name]() for name in limits),
    )


def _strips(random: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats]:
    """Unit vectors (count, 3), seconds of acquisition, priority; half of them around cities."""
    cities = max(4, count // 12)
    lat, lon = _anywhere(random, cities)
    home = random.integers(cities, size=count)
    spread = random.random(count) < 0.5
    far_lat, far_lon = _anywhere(random, count)
    lat = np.where(spread, lat[home] + random.normal(0, 3.5, count), far_lat)
    lon = np.where(spread, lon[home] + random.normal(0, 3.5, count) / np.cos(np.radians(lat)), far_lon)
    lat, lon = np.radians(lat), np.radians(lon)
    unit = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    return unit, random.uniform(20e3, 100e3, count) / GROUND_M_S, random.integers(1, 11, count).astype(float)


def _anywhere(random: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    return np.degrees(np.arcsin(random.uniform(-0.6, 0.87, count))), random.uniform(-180, 180, count)


def _orbits(random: np.random.Generator, satellites: int) -> Iterator[tuple[float, float]]:
    """Longitude of the ascending node and phase, radians: the descending node at about half past ten."""
    for one in range(satellites):
        yield np.radians(157.5) + random.uniform(-0.15, 0.15), 2 * np.pi * one / satellites + random.uniform(0, 0.1)


def _seen(
    places: Floats, duration: Floats, node: float, phase: float, satellite: int
) -> tuple[Integers, Integers, Floats, Floats, Floats]:
    """Satellite, strip, start, roll and pitch of all candidates of one satellite."""
    along = np.array([np.cos(node), np.sin(node), 0.0])
    across = np.array([-np.sin(node) * np.cos(INCLINATION), np.cos(node) * np.cos(INCLINATION), np.sin(INCLINATION)])
    pole = np.cross(along, across)
    found = []
    for orbit in range(int(DAY_S / ORBIT_S) + 1):
        near = np.arange(len(places))
        moment = np.full(near.size, (orbit + 0.5) * ORBIT_S)
        for step in range(4):
            x, y = _turned(places[near], moment)
            z = places[near, 2]
            angle = np.arctan2(x * across[0] + y * across[1] + z * across[2], x * along[0] + y * along[1])
            aside = np.arcsin(x * pole[0] + y * pole[1] + z * pole[2])
            moment = (orbit + (angle - phase) % (2 * np.pi) / (2 * np.pi)) * ORBIT_S
            if step == 0:
                close = np.abs(aside) < 0.5
                near, moment = near[close], moment[close]
        south = np.cos(angle) < 0
        roll = np.degrees(np.arctan2(np.sin(aside) * EARTH_M, EARTH_M + HEIGHT_M - EARTH_M * np.cos(aside)))
        good = south & (np.abs(roll) < WIDEST_DEG)
        near, moment, roll = near[good], moment[good], roll[good]
        for pitch_deg in PITCHES_DEG:
            ahead = np.arcsin((EARTH_M + HEIGHT_M) / EARTH_M * np.sin(np.radians(pitch_deg))) - np.radians(pitch_deg)
            start = moment - ahead * ORBIT_S / (2 * np.pi) - duration[near] / 2
            seen = (np.hypot(roll, pitch_deg) < WIDEST_DEG) & (start > 0) & (start + duration[near] < DAY_S)
            found.append((near[seen], start[seen], roll[seen], np.full(int(seen.sum()), pitch_deg)))
    strip, start, roll, pitch = (np.concatenate(column) for column in zip(*found, strict=True))
    return np.full(strip.size, satellite), strip, start, roll, pitch


def _turned(places: Floats, moment: Floats) -> tuple[Floats, Floats]:
    """First two coordinates in a frame that does not turn with the Earth."""
    cos, sin = np.cos(EARTH_TURN * moment), np.sin(EARTH_TURN * moment)
    return places[:, 0] * cos - places[:, 1] * sin, places[:, 0] * sin + places[:, 1] * cos


def _on_time(satellite: Integers, start: Floats, end: Floats, satellites: int, most_s: float) -> Limit:
    orbits = int(DAY_S / ORBIT_S) + 1
    return Limit(
        name="on-time",
        use=end - start,
        slot=(satellite * orbits + (start / ORBIT_S).astype(int)).astype(np.int32),
        release=np.full(satellites * orbits, np.inf),
        capacity=np.full(satellites * orbits, most_s),
    )


def _storage(satellite: Integers, start: Floats, end: Floats, random: np.random.Generator, satellites: int) -> Limit:
    """Memory; each satellite has a contact of 6 to 10 minutes at some station on about every second orbit."""
    orbits = int(DAY_S / ORBIT_S) + 1
    contacts = [np.sort(random.choice(orbits, size=orbits // 2, replace=False)) for _ in range(satellites)]
    slot = np.zeros(satellite.size, dtype=np.int32)
    release: list[float] = []
    for one, held in enumerate(contacts):
        mine = satellite == one
        slot[mine] = len(release) + np.searchsorted((held + 0.95) * ORBIT_S, start[mine])
        release += [*(random.uniform(360, 600, held.size) * DOWNLINK_GB_S), np.inf]
    full = np.full(len(release), MEMORY_GB)
    return Limit(name="storage", use=(end - start) * RECORD_GB_S, slot=slot, release=np.array(release), capacity=full)


def _energy(satellite: Integers, start: Floats, end: Floats, satellites: int) -> Limit:
    """Energy below the full battery, of which every orbit gives some back."""
    orbits = int(DAY_S / ORBIT_S) + 1
    release = np.full((satellites, orbits), CHARGE_WH)
    release[:, -1] = np.inf
    return Limit(
        name="energy",
        use=(end - start) * DRAW_WH_S,
        slot=(satellite * orbits + (start / ORBIT_S).astype(int)).astype(np.int32),
        release=release.ravel(),
        capacity=np.full(satellites * orbits, BATTERY_WH),
    )
