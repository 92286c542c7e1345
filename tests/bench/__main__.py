"""`make bench`: every figure that is claimed, measured; peer and us in one run, and their results compared.

python -m tests.bench                                all but those that need much disk or time
python -m tests.bench ortho demo                     these
python -m tests.bench catalog --items 20000          the catalog's, on a smaller workload
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

from tests.bench import (
    accuracy,
    clouds,
    cluster,
    demo,
    hostile,
    opportunities,
    orders,
    ortho,
    ortho_large,
    orthority,
    pansharpen,
    plan,
    scaling,
    stac,
    stac_export,
    stac_large,
    stac_load,
    stereo,
)
from tests.bench.agreement import DifferError
from tests.bench.errors import LeftOutError
from tests.bench.stand import Stand
from tests.postgres import PostgresMissingError

BENCHES = {
    "ortho": ortho.run,
    "ortho-large": ortho_large.run,
    "pansharpen": pansharpen.run,
    "orthority": orthority.run,
    "clouds": clouds.run,
    "accuracy": accuracy.run,
    "stereo": stereo.run,
    "opportunities": opportunities.run,
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
"""Only where it is asked for: it fills a disk. So are those of `ASKED`, which take long too."""

ASKED = ("scaling", "cluster", "hostile")


def main() -> int:
    names = [*BENCHES, *CATALOG, LARGE, *ASKED]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, against the peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names)}")
    parser.add_argument("--items", type=int, default=100_000, help="items of the catalog's workload")
    parser.add_argument("--seconds", type=float, default=4, help="of one measured cell of the catalog")
    parser.add_argument("--bodies", type=int, default=60, help="of each query, whose answers are compared")
    parser.add_argument("--large", type=int, default=1_000_000, help=f"items of {LARGE}")
    parser.add_argument("--side", type=int, default=30_000, help="rows and columns of scaling's scene")
    parser.add_argument("--scenes", type=int, default=500, help="of cluster")
    parser.add_argument("--files", type=int, default=10_000, help="deliveries of hostile")
    given = parser.parse_args()
    wanted = given.names or [name for name in names if name not in (LARGE, *ASKED)]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    with Stand(items=given.items, seconds=given.seconds, bodies=given.bodies) as stand:
        catalog = {name: partial(bench, stand) for name, bench in CATALOG.items()}
        asked = {
            LARGE: partial(stac_large.run, stand, given.large),
            "scaling": partial(scaling.run, given.side),
            "cluster": partial(cluster.run, given.scenes),
            "hostile": partial(hostile.run, given.files),
        }
        benches = BENCHES | catalog | asked
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
