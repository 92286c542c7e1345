"""Millions of candidates: the prices are found on the promising ones, and the bound is proven over all of them."""

import time
from concurrent.futures import Executor

import numpy as np

from tasking.planning.prices import Pricing
from tasking.planning.problem import Floats, Integers, Problem

BEST = 12
"""So many candidates of each strip are promising."""

ROUNDS, STEPS, FULL_STEPS = 2, 300, 25


def narrowed(problem: Problem, target: float, *, until: float, pool: Executor) -> tuple[Integers, Floats, float]:
    """Find the candidates of least loss of each strip, rising; the losses of all; a bound for the whole problem.

    `target` is what the best known plan is worth, `until` a time of `time.monotonic`.
    """
    full = Pricing(problem, pool=pool)
    loss = -problem.value
    ids = _best(problem, loss)
    for _ in range(ROUNDS):
        part = Pricing(problem.subset(ids), pool=pool)
        for _ in range(STEPS):
            part.step(target)
            if time.monotonic() > until:
                break
        full.start_from(part)
        for _ in range(FULL_STEPS):
            if time.monotonic() > until:
                break
            full.step(target)
        loss = full.losses()
        ids = _best(problem, loss)
        if time.monotonic() > until:
            break
    return ids, loss, full.bound


def _best(problem: Problem, loss: Floats) -> Integers:
    """The candidates of least loss of each strip."""
    order = np.lexsort((loss, problem.strip))
    rank = np.arange(problem.size) - problem.tables.of_strip[problem.strip[order]]
    return np.sort(order[rank < BEST])
