"""Passes of real satellites over many places, against tatc and skyfield on the same question; spans one by one.

Each side has its time from elements and places in memory to all spans in memory. Ours is the median of some runs after
the first, which loads compiled code.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from shapely.geometry import Polygon

from catalog.extent import Footprint
from tasking.passes import Passes, Places, find_passes
from tasking.satellite import ElementSet, read_element_sets
from tests.bench.agreement import DifferError
from tests.bench.errors import LeftOutError

ROOT = Path(__file__).resolve().parents[2]
ELEMENTS = ROOT.parent / "shared" / "data" / "tle" / "earth-resources-2026-04-13.tle"
PEERS = ROOT / ".venv-bench" / "bin" / "python"

START = 1776124800.0
"""2026-04-14T00:00Z, a day after the element sets."""

DAYS, LIMIT_DEG, REPEATS = 7.0, 30.0, 5

EDGES_S = {"tatc": 0.2, "skyfield": 0.02}
"""Most by which an edge may differ; tatc turns TEME with the Earth by another formula."""

GRAZING_S = 30.0
"""A shorter pass grazes the limit: what is left between the frames (we take UT1 as UTC) moves its edges by more."""

BRIEF_S = 3.0
"""A span that one side alone has may be no longer: it grazes the limit."""

Spans = dict[tuple[int, int], np.ndarray]
"""First and last times (n, 2) by place and satellite."""


def run() -> None:
    if not ELEMENTS.is_file():
        raise LeftOutError("needs the element sets beside the project")
    if not PEERS.is_file():
        raise LeftOutError("needs the peers' environment (make bench builds it)")
    fleet = _low(300)
    lon, lat = _places(1000)
    few, points = fleet[:10], Places.points(lon[:100], lat[:100])
    _ask(few, points)
    seconds, cpu_s, found = _timed(few, points)
    print(f"100 points × 10 satellites × {DAYS:g} days, off-nadir ≤ {LIMIT_DEG:g}°: {found.place.size} spans\n")
    print("            seconds   ratio   CPU s   largest difference of an edge")
    print(f"overflight {seconds:8.2f} {1:7.1f} {cpu_s:7.2f}")
    question = {
        "tles": [[one.line1, one.line2] for one in few],
        "lon": lon[:100].tolist(),
        "lat": lat[:100].tolist(),
        "start": START,
        "end": START + DAYS * 86400,
        "limit_deg": LIMIT_DEG,
    }
    for peer in EDGES_S:
        answer = _peer(peer, question)
        worst = _compare(peer, _spans_of(found), _grouped(np.array(answer["spans"])))
        ratio = answer["wall_s"] / seconds
        print(f"{peer:10s} {answer['wall_s']:8.2f} {ratio:7.1f} {answer['cpu_s']:7.1f} {worst:9.4f} s")
    _polygons(few, lon[:100], lat[:100], seconds)
    _large(fleet, lon, lat, seconds)


def _low(count: int) -> list[ElementSet]:
    """Real satellites in low orbits; where more are asked for than there are, the same ones again a while later."""
    sets = [one for _, one in read_element_sets(ELEMENTS.read_text()) if float(one.line2[52:63]) > 13]
    return [sets[i % len(sets)] for i in range(count)]


def _places(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2026)
    return random.uniform(-180, 180, count), np.degrees(np.arcsin(random.uniform(-0.95, 0.95, count)))


def _ask(fleet: list[ElementSet], places: Places) -> Passes:
    return find_passes(fleet, places, LIMIT_DEG, start=START, end=START + DAYS * 86400)


def _timed(fleet: list[ElementSet], places: Places) -> tuple[float, float, Passes]:
    """Median seconds by the clock, median seconds of processors, and what was found."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter(), time.process_time()
        found = _ask(fleet, places)
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    clock, processors = (statistics.median(values) for values in zip(*times, strict=True))
    return clock, processors, found


def _peer(name: str, question: dict) -> dict:
    command = [str(PEERS), str(Path(__file__).with_name("opportunities_peers.py")), name]
    done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LeftOutError(f"{name} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def _spans_of(found: Passes) -> Spans:
    return _grouped(np.stack([found.place, found.satellite, found.first, found.last], axis=1))


def _grouped(rows: np.ndarray) -> Spans:
    spans: dict[tuple[int, int], list] = {}
    for place, satellite, first, last in rows[np.argsort(rows[:, 2])]:
        spans.setdefault((int(place), int(satellite)), []).append((first, last))
    return {key: np.array(values) for key, values in spans.items()}


def _compare(peer: str, ours: Spans, theirs: Spans) -> float:
    """Match every span of one side with one of the other; the largest difference of an edge, in seconds."""
    worst = 0.0
    for key in ours.keys() | theirs.keys():
        mine, other = ours.get(key, np.zeros((0, 2))), theirs.get(key, np.zeros((0, 2)))
        for one, rest, side in ((mine, other, "overflight"), (other, mine, peer)):
            for first, last in one:
                same = [(a, b) for a, b in rest if a < last and first < b]
                if not same and last - first > BRIEF_S:
                    raise DifferError(f"place, satellite {key}: {first:.3f} to {last:.3f} is found by {side} alone")
                if len(same) > 1:
                    raise DifferError(
                        f"place, satellite {key}: {side} finds {first:.3f} to {last:.3f}, the other parts of it"
                    )
                if same and last - first > BRIEF_S:
                    off = max(abs(same[0][0] - first), abs(same[0][1] - last))
                    if off > EDGES_S[peer] * max(1.0, GRAZING_S / (last - first)):
                        raise DifferError(f"{peer}: place, satellite {key}: an edge differs by {off:.4f} s")
                    worst = max(worst, off)
    return worst


def _polygons(fleet: list[ElementSet], lon: np.ndarray, lat: np.ndarray, points_s: float) -> None:
    turn = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    reach = 0.15 * (1 + 0.3 * np.sin(5 * turn))
    areas = [
        Footprint.of(
            Polygon(np.stack([x + reach * np.cos(turn) / np.cos(np.radians(y)), y + reach * np.sin(turn)], axis=1))
        )
        for x, y in zip(lon, lat, strict=True)
    ]
    places = Places.areas(areas)
    _ask(fleet, places)
    seconds, _, found = _timed(fleet, places)
    print(
        f"\nthe same with polygons of 50 vertices: {seconds:.2f} s, {seconds / points_s:.2f} × the time, "
        f"{found.place.size} spans"
    )


def _large(fleet: list[ElementSet], lon: np.ndarray, lat: np.ndarray, few_s: float) -> None:
    began = time.perf_counter()
    found = _ask(fleet, Places.points(lon, lat))
    seconds = time.perf_counter() - began
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"1,000 points × 300 satellites × {DAYS:g} days: {seconds:.1f} s, {found.place.size} spans, "
        f"{memory_gb:.2f} GB; {seconds / few_s:.0f} × the time for 300 × the work"
    )


if __name__ == "__main__":
    sys.exit(run())
