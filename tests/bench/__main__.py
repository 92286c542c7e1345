"""`make bench`: every figure that is claimed, measured; peer and us in one run, and their results compared.

python -m tests.bench                                all but those that need much disk
python -m tests.bench ortho demo                     these
python -m tests.bench catalog --items 20000          the catalog's, on a smaller workload
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

from tests.bench import accuracy, demo, orders, ortho, ortho_large, plan, stac, stac_export, stac_large, stac_load
from tests.bench.agreement import DifferError
from tests.bench.errors import LeftOutError
from tests.bench.stand import Stand
from tests.postgres import PostgresMissingError

BENCHES = {
    "ortho": ortho.run,
    "ortho-large": ortho_large.run,
    "accuracy": accuracy.run,
    "orders": orders.run,
    "plan": plan.run,
    "demo": demo.run,
}
"""Each stands by itself."""

CATALOG = {
    "catalog": stac.run,
    "catalog-pgstac": stac.run_pgstac,
    "catalog-load": stac_load.run,
    "catalog-export": stac_export.run,
}
"""These share what was loaded."""

LARGE = "catalog-large"
"""Only where it is asked for: it fills a disk."""


def main() -> int:
    names = [*BENCHES, *CATALOG, LARGE]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, against the peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names)}")
    parser.add_argument("--items", type=int, default=100_000, help="items of the catalog's workload")
    parser.add_argument("--seconds", type=float, default=4, help="of one measured cell of the catalog")
    parser.add_argument("--bodies", type=int, default=60, help="of each query, whose answers are compared")
    parser.add_argument("--large", type=int, default=1_000_000, help=f"items of {LARGE}")
    given = parser.parse_args()
    wanted = given.names or [name for name in names if name != LARGE]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    with Stand(items=given.items, seconds=given.seconds, bodies=given.bodies) as stand:
        catalog = {name: partial(bench, stand) for name, bench in CATALOG.items()}
        benches = BENCHES | catalog | {LARGE: partial(stac_large.run, stand, given.large)}
        return max([_run(name, benches[name]) for name in wanted])


def _run(name: str, bench: Callable[[], None]) -> int:
    """Run one; the exit code, which is not 0 where the results of both sides differ."""
    print(f"\n── {name} {'─' * (100 - len(name))}", flush=True)
    try:
        bench()
    except (LeftOutError, PostgresMissingError) as missing:
        print(f"left out: {missing}")
    except DifferError as error:
        print(f"\nFAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
