"""Seven queries, stac-fastapi-pgstac against us: over our own store, and over the same pgstac database."""

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings
from tests.bench.agreement import DifferError, same_items, same_searches, same_walks
from tests.bench.errors import LeftOutError
from tests.bench.servers import Server, overflight, peer
from tests.bench.stand import Stand
from tests.bench.workload import Workload
from tests.bench.wrk import Cell, Request, measure

SEARCHES = ("search10", "search100", "small", "cql_dt", "cql_cc")
QUERIES = (*SEARCHES, "page100", "item")

FEW, MANY = 1, 16
"""Connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """How many times better we are to be; none: only shown."""

    requests: float
    """Requests a second over many connections, on every query."""

    mean: float | None = None
    """The same, geometric mean of all queries."""

    p50: float | None = None
    """Half of the answers come within, over one connection, on every query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What each server is sent, once it is known that both answer alike."""

    name: str
    theirs: list[Request]
    ours: list[Request]


def run(stand: Stand) -> None:
    """Measure our own store against the peer."""
    with peer(stand.pgstac.place) as theirs, overflight(Path(stand.ours.place)) as ours:
        _compare(stand, theirs, ours, Goals(requests=12, mean=25, p50=15))


def run_pgstac(stand: Stand) -> None:
    """Measure our server against the peer, over one and the same database."""
    if "catalog" not in Settings.model_fields:
        raise LeftOutError("this server does not take OVERFLIGHT_CATALOG=postgresql://… yet")
    dsn = stand.pgstac.place
    with tempfile.TemporaryDirectory() as folder, peer(dsn) as theirs, overflight(Path(folder), catalog=dsn) as ours:
        _compare(stand, theirs, ours, Goals(requests=2))


def _compare(stand: Stand, theirs: Server, ours: Server, goals: Goals) -> None:
    """Print every query; one that cannot be measured or differs has its reason in place of figures."""
    print(f"{stand.workload.count:,} items; wrk, 1 thread, {stand.seconds:g} s a cell, in turn; p50 in ms\n")
    print(f"{'':9} {f'requests/s, {MANY} connections':^40} {f'p50, {FEW} connection':^29}")
    heading = f"{'peer':>9} {'ours':>9} {'ratio':>8}  {'goal':10}{'peer':>8} {'ours':>8} {'ratio':>8}  goal"
    print(f"{'query':9} {heading}")
    ratios, differing = [], []
    for name in QUERIES:
        print(f"{name:9} ", end="", flush=True)
        try:
            ratios.append(_row(stand, name, theirs, ours, goals))
        except LeftOutError as error:
            print("left out:", error)
        except DifferError as error:
            print("DIFFERS:", error)
            differing.append(name)
    if len(ratios) == len(QUERIES):
        mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
        print(f"\nrequests/s over {MANY} connections, geometric mean: {mean:.1f} × {_verdict(mean, goals.mean)}")
    if differing:
        raise DifferError(f"{', '.join(differing)}: the servers' answers differ")


def _row(stand: Stand, name: str, theirs: Server, ours: Server, goals: Goals) -> float:
    """Compare, measure and print one query; how many times as many requests a second are ours."""
    query = _agreed(stand, name, theirs, ours)
    few, many = (_both(stand, query, theirs, ours, connections) for connections in (FEW, MANY))
    faster, sooner = many[1].requests_s / many[0].requests_s, few[0].p50_ms / few[1].p50_ms
    print(f"{many[0].requests_s:9.1f} {many[1].requests_s:9.1f} {faster:6.1f} × ", end="")
    print(f" {_verdict(faster, goals.requests):10}", end="")
    print(f"{few[0].p50_ms:8.2f} {few[1].p50_ms:8.2f} {sooner:6.1f} ×  {_verdict(sooner, goals.p50)}")
    return faster


def _both(stand: Stand, query: Query, theirs: Server, ours: Server, connections: int) -> tuple[Cell, Cell]:
    return (
        measure(theirs.origin, query.theirs, connections=connections, seconds=stand.seconds),
        measure(ours.origin, query.ours, connections=connections, seconds=stand.seconds),
    )


def _agreed(stand: Stand, name: str, theirs: Server, ours: Server) -> Query:
    """Raise DifferError unless both servers answer alike; page 100 is walked by each server's own next links."""
    if name == "page100":
        their_body, our_body = same_walks(theirs, ours)
        return Query(name=name, theirs=[post(theirs, their_body)], ours=[post(ours, our_body)])
    if name == "item":
        paths = stand.workload.item_paths()
        same_items(theirs, ours, paths[: stand.bodies])
        return Query(name=name, theirs=_gets(theirs, paths), ours=_gets(ours, paths))
    return _agreed_searches(stand.workload, name, stand.bodies, theirs, ours)


def _agreed_searches(workload: Workload, name: str, compared: int, theirs: Server, ours: Server) -> Query:
    bodies = workload.bodies(name)
    same_searches(theirs, ours, bodies[:compared])
    return Query(
        name=name,
        theirs=[post(theirs, body) for body in bodies],
        ours=[post(ours, body) for body in bodies],
    )


def post(server: Server, body: object) -> Request:
    """One search."""
    return Request(method="POST", path=f"{server.root}/search", body=json.dumps(body))


def _gets(server: Server, paths: list[str]) -> list[Request]:
    return [Request(method="GET", path=server.root + path) for path in paths]


def _verdict(ratio: float, goal: float | None) -> str:
    if goal is None:
        return ""
    return "met" if ratio >= goal else f"NOT ({goal:g} ×)"
