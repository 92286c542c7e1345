"""Large-neighbourhood search: take acquisitions out around a strip, put others in, keep what is better or nearly so.

Ruin and recreate (Schrimpf et al. 2000, "Record breaking optimization results using the ruin and recreate principle")
under simulated annealing: a strip is drawn, and one to three of the places where it could be acquired; the row around
each is cleared for up to a minute, the strip goes into the first, and what was taken out and what has waited there goes
in again by its loss against the prices, with some noise.
"""

import numpy as np
from numba import njit

from tasking.planning.problem import Floats, Indices, Tables
from tasking.planning.roster import Roster, fits, follows, put, take

MOST_POOL = 400
"""So many candidates are considered for what was cleared, at most."""

CLEARED_S = 20.0
"""The row is cleared for up to so long before a place and after it."""


@njit(cache=True, nogil=True)
def seed(number: int) -> None:
    """Set the random numbers of the kernels of this thread."""
    np.random.seed(number)


@njit(cache=True, nogil=True)
def search(
    t: Tables,
    r: Roster,
    gain: Floats,
    loss: Floats,
    best: Indices,
    moves: int,
    heat: float,
    cooled: float,
    noise: float,
) -> float:
    """Try so many moves while the heat falls from one value to the other; the gain of the best choice, left in `best`.

    `gain` is what a candidate counts for in the search: its value, or more where a plan should stay as it is. `loss`
    is the order in which candidates are tried, and candidates of a strip stand in that order in `t.strip_items`.
    """
    now, most = 0.0, 0.0
    for one in r.chosen:
        now += gain[one] if one >= 0 else 0.0
    for one in best:
        most += gain[one] if one >= 0 else 0.0
    removed = np.empty(r.row.size, dtype=np.int32)
    added = np.empty(MOST_POOL + 1, dtype=np.int32)
    pool = np.empty(MOST_POOL, dtype=np.int32)
    key = np.empty(MOST_POOL)
    strips = r.chosen.size
    for move in range(moves):
        strip = np.random.randint(strips)
        if r.chosen[strip] >= 0 and np.random.random() < 0.5:
            strip = np.random.randint(strips)
        low, high = t.of_strip[strip], t.of_strip[strip + 1]
        if low == high:
            continue
        out, ready, change = 0, 0, 0.0
        target = -1
        if r.chosen[strip] >= 0:
            out, change = _out(t, r, gain, r.chosen[strip], removed, out, change)
        for place in range(np.random.randint(1, 4)):
            item = low + min(high - low - 1, int((high - low) * np.random.random() ** 2))
            c = t.strip_items[item]
            reach = CLEARED_S * np.random.random() ** 2
            out, change = _clear(t, r, gain, c, reach, removed, out, change)
            if place == 0:
                target = c
            ready = _waiting(t, r, c, reach, pool, ready)
        for k in range(out):
            other = t.strip[removed[k]]
            for item in range(t.of_strip[other], t.of_strip[other + 1]):
                if ready < MOST_POOL:
                    pool[ready] = t.strip_items[item]
                    ready += 1
        put_in = 0
        if np.random.random() < 0.7 and r.chosen[strip] < 0 and fits(t, r, target):
            put(t, r, target)
            added[0] = target
            put_in, change = 1, change + gain[target]
        for k in range(ready):
            key[k] = loss[pool[k]] - noise * np.log(1.0 - np.random.random())
        for k in np.argsort(key[:ready]):
            c = pool[k]
            if r.chosen[t.strip[c]] < 0 and fits(t, r, c):
                put(t, r, c)
                added[put_in] = c
                put_in, change = put_in + 1, change + gain[c]
        warmth = heat * (cooled / heat) ** (move / moves)
        if change >= 0 or change > warmth * np.log(1.0 - np.random.random()):
            now += change
            if now > most + 1e-9:
                most = now
                best[:] = r.chosen
            continue
        for k in range(put_in):
            take(t, r, added[k])
        for k in range(out):
            put(t, r, removed[k])
    return most


@njit(cache=True, nogil=True)
def _out(
    t: Tables, r: Roster, gain: Floats, candidate: int, removed: Indices, out: int, change: float
) -> tuple[int, float]:
    take(t, r, candidate)
    removed[out] = candidate
    return out + 1, change - gain[candidate]


@njit(cache=True, nogil=True)
def _clear(
    t: Tables, r: Roster, gain: Floats, c: int, reach: float, removed: Indices, out: int, change: float
) -> tuple[int, float]:
    """Take out what is acquired from `reach` before a candidate to `reach` after it, and what it rules out."""
    satellite = t.satellite[c]
    base = r.place[satellite]
    begin, end = t.start[c] - reach, t.end[c] + reach
    low, high = 0, r.length[satellite]
    while low < high:
        middle = (low + high) // 2
        if t.end[r.row[base + middle]] < begin:
            low = middle + 1
        else:
            high = middle
    while low < r.length[satellite] and t.start[r.row[base + low]] <= end:
        out, change = _out(t, r, gain, r.row[base + low], removed, out, change)
    while low > 0 and not follows(t, r.row[base + low - 1], c):
        out, change = _out(t, r, gain, r.row[base + low - 1], removed, out, change)
        low -= 1
    while low < r.length[satellite] and not follows(t, c, r.row[base + low]):
        out, change = _out(t, r, gain, r.row[base + low], removed, out, change)
    return out, change


@njit(cache=True, nogil=True)
def _waiting(t: Tables, r: Roster, c: int, reach: float, pool: Indices, ready: int) -> int:
    """Add to the pool the candidates around a place whose strips have none."""
    satellite = t.satellite[c]
    low, high = t.first[satellite], t.first[satellite + 1]
    begin, end = t.start[c] - reach, t.end[c] + reach
    while low < high:
        middle = (low + high) // 2
        if t.start[middle] < begin:
            low = middle + 1
        else:
            high = middle
    while low < t.first[satellite + 1] and t.start[low] <= end and ready < pool.size:
        if r.chosen[t.strip[low]] < 0:
            pool[ready] = low
            ready += 1
        low += 1
    return ready
