"""`make bench`: every figure that is claimed, measured; peer and us in one run, and their results compared.

python -m tests.bench              all of them
python -m tests.bench ortho demo   these
"""

import sys

from tests.bench import accuracy, demo, orders, ortho

BENCHES = {"ortho": ortho.run, "accuracy": accuracy.run, "orders": orders.run, "demo": demo.run}


def main() -> int:
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    for name in wanted:
        print(f"\n── {name} {'─' * (100 - len(name))}", flush=True)
        BENCHES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
