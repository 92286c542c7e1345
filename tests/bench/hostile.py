"""10,000 damaged deliveries, folders and archives of every format, each on its whole way: unpacked, checked, produced,
and those that are refused once more through `overflight ortho`.

Each one is produced or refused in words, within 30 s and 2 GiB of address space; its process asks for no internet
socket and starts no program, Python opens nothing outside the delivery, and nobody opens the files that the damaged
texts point at (`tests/processing/hostile_guards.py`).
"""

import sys
import time
from collections import Counter

from tests.processing.hostile_worker import LONGEST_S, MEMORY_BYTES, Found, fuzz_deliveries

SEED = 3


def run(count: int) -> None:
    """Print what became of them, by kind."""
    began = time.perf_counter()
    found, opened = fuzz_deliveries(range(count), SEED, report=_Counter(count))
    show(found, opened)
    print(f"{count:,} deliveries in {time.perf_counter() - began:.0f} s")
    assert not wrong(found)
    assert not opened
    assert max(one.seconds for _, one in found) < LONGEST_S
    assert max(one.peak for _, one in found) < MEMORY_BYTES


def wrong(found: Found) -> Found:
    """Those that were neither produced nor refused."""
    return [(what, one) for what, one in found if one.outcome not in ("read", "refused")]


def show(found: Found, opened: set[str]) -> None:
    """Print a line a kind, and the words that most were refused with."""
    print(f"{'damaged':<16} {'files':>6} {'produced':>9} {'refused':>8} {'else':>5} {'longest s':>10} {'peak MB':>8}")
    kinds = sorted({what.split(",")[0] for what, _ in found})
    for kind in [*kinds, ""]:
        mine = [one for what, one in found if what.startswith(f"{kind}," if kind else "")]
        outcomes = Counter(one.outcome for one in mine)
        other = len(mine) - outcomes["read"] - outcomes["refused"]
        longest, peak = max(one.seconds for one in mine), max(one.peak for one in mine)
        print(f"{kind or 'all':<16} {len(mine):>6} {outcomes['read']:>9} {outcomes['refused']:>8} {other:>5}", end="")
        print(f" {longest:>10.2f} {peak / 1e6:>8.0f}")
    slowest = max(found, key=lambda one: one[1].seconds)
    print(f"\nslowest: {slowest[0]}, {slowest[1].seconds:.1f} s: {slowest[1].words or 'produced'}")
    print(f"opened outside the deliveries: {', '.join(sorted(opened)) or 'nothing'}")
    for what, one in wrong(found):
        print(f"NEITHER: {what}: {one.outcome} {one.words} {one.strays}")


class _Counter:
    """Says how far it is, on a terminal."""

    def __init__(self, count: int) -> None:
        self.count, self.done = count, 0

    def __call__(self, more: int) -> None:
        self.done += more
        if sys.stderr.isatty() and self.done % 50 == 0:
            print(f"\r{self.done:,} of {self.count:,}", end="\r", file=sys.stderr, flush=True)
