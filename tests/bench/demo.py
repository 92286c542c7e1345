"""How long a newcomer waits: the demo in a fresh folder, and once more with compiled code at hand."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run() -> None:
    for name in ("first start on this machine, if nothing was compiled yet", "again"):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "api.cli", "demo", "--data", str(Path(folder) / "demo")]
            began = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - began
            assert "completed" in done.stdout
            assert (Path(folder) / "demo" / "picture.png").stat().st_size > 100_000
            print(f"demo: {seconds:5.1f} s   (goal: under 60 s; {name})")
    print(done.stdout)
