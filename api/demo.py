"""`overflight demo`: one order on the sandbox from request to catalog, over real HTTP, and how good its scene is."""

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
import uvicorn
from rich.console import Console
from rich.table import Table

from api.app import create_app
from api.commands.progress import ProgressBars
from api.demo_picture import Comparison, compare, draw
from api.installation import Installation
from api.remote import RemoteDesk
from api.server import configure_logging, listen
from api.settings import Settings
from catalog.extent import TimeWindow, format_time
from tasking.order import FINAL
from tasking.step import Step

AREA = {
    "type": "Polygon",
    "coordinates": [[[5.26, 44.152], [5.31, 44.152], [5.31, 44.188], [5.26, 44.188], [5.26, 44.152]]],
}
"""Four by four kilometres; in life, Mont Ventoux comes down to its villages there. The sandbox has its own country."""

MIN_OFF_NADIR_DEG = 12
MAX_CLOUD_COVER_PCT = 25
DAYS = 10
"""How long the order may take: clouds may spoil the first passes."""

RATE = 100_000.0
"""Seconds of the sandbox in one of ours: tomorrow's pass is here in a second or two."""

PATIENCE_S = 300.0

MARKER = "demo.json"
"""Shows that a folder was made by a demo, and may be started afresh."""


def run(data: Path) -> None:
    """Run the demo in a folder and print what came out.

    Raises
    ------
    click.ClickException
        The folder holds something else, or the order was not completed.
    """
    began = time.monotonic()
    _start_afresh(data)
    settings = Settings(data=data, port=0, sandbox_rate=RATE, embedded_worker=True, log_level="error")
    configure_logging(settings)
    picture = data / "picture.png"
    with ProgressBars() as bars, _serving(settings, bars) as (installation, address):
        desk = RemoteDesk(address)
        order_id = str(desk.submit("sandbox-multispectral", _request())["id"])
        history = _follow(desk, order_id, bars)
        if history[-1]["status_code"] != "completed":
            raise click.ClickException(f"the order is {history[-1]['status_code']}: {history[-1].get('reason_text')}")
        comparisons = compare(installation, order_id, progress=bars)
        draw(comparisons, picture, title=str(_sentence(history, "scheduled")))
        item = next(link["href"] for link in desk.order(order_id)["links"] if link["rel"] == "item")
    _tell(history, comparisons)
    seconds = time.monotonic() - began
    click.echo(f"\nitem     {item.replace(address, 'http://127.0.0.1:8000')}")
    click.echo(f"picture  {picture}")
    click.echo(f"done in {seconds:.0f} s; see it all on http://127.0.0.1:8000 with: overflight serve --data {data}")


def _start_afresh(data: Path) -> None:
    """Empty the folder of an earlier demo; leave anything else alone."""
    if data.is_dir() and any(data.iterdir()):
        if not (data / MARKER).is_file():
            raise click.ClickException(f"{data} is not empty and no folder of a demo; name another with --data")
        shutil.rmtree(data)
    data.mkdir(parents=True, exist_ok=True)
    (data / MARKER).write_text(json.dumps({"made": format_time(datetime.now(UTC))}))


@contextlib.contextmanager
def _serving(settings: Settings, bars: ProgressBars) -> Iterator[tuple[Installation, str]]:
    """The whole application as `overflight serve` runs it, on a free port."""

    def report(_: Step, what: str, done: int, total: int) -> None:
        bars(f"orthorectify {what}", done, total)

    bars("start", 0, 1)
    app = create_app(settings, progress=report)
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        # The cluster takes some seconds to start: it may do so while the satellite is on its way.
        threading.Thread(target=app.state.installation.client, name="cluster", daemon=True).start()
        bars("start", 1, 1)
        yield app.state.installation, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _request() -> dict[str, Any]:
    """Tomorrow's pass or the next one that is not cloudy, looking to the side: there the terrain matters."""
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return {
        "datetime": str(TimeWindow(start=tomorrow, end=tomorrow + timedelta(days=DAYS))),
        "geometry": AREA,
        "filter": {"op": ">=", "args": [{"property": "view:off_nadir"}, MIN_OFF_NADIR_DEG]},
        "order_parameters": {"max_cloud_cover": MAX_CLOUD_COVER_PCT},
    }


def _follow(desk: RemoteDesk, order_id: str, bars: ProgressBars) -> list[dict[str, Any]]:
    """Show the order's states as they come, until its end; its history, oldest first."""
    until = time.monotonic() + PATIENCE_S
    waiting = ""
    while True:
        history = list(reversed(desk.statuses(order_id)))
        state = str(history[-1]["status_code"])
        passes = sum(status["status_code"] == "tasked" for status in history)
        label = f"acquire, pass {passes}" if state == "tasked" else ""
        if waiting and waiting != label:
            bars(waiting, 1, 1)
        if label:
            bars(label, 0, 0)
        waiting = label
        if state in FINAL:
            return history
        if time.monotonic() > until:
            raise click.ClickException(
                f"the order is still {state} after {PATIENCE_S:.0f} s; `overflight steps` tells more"
            )
        time.sleep(0.2)


def _sentence(history: list[dict[str, Any]], state: str) -> str | None:
    """What the last line of that state says."""
    return next((one.get("reason_text") for one in reversed(history) if one["status_code"] == state), None)


def _tell(history: list[dict[str, Any]], comparisons: list[Comparison]) -> None:
    """Print the order's history and the accuracy."""
    console = Console(highlight=False)
    table = Table(title="The order", title_justify="left", box=None, pad_edge=False, show_header=False)
    for status in history:
        text = status.get("reason_text", "")
        table.add_row(status["timestamp"][11:19], f"[bold]{status['status_code']}", text)
    console.print()
    console.print(table)
    accuracy = Table(title="\nAgainst the ground as it is", title_justify="left", box=None, pad_edge=False)
    for head in ("picture", "GSD", "CE90", "CE90 / GSD", "median east", "median north", "patches"):
        accuracy.add_column(head, justify="left" if head == "picture" else "right")
    for one in comparisons:
        found = one.displacement
        accuracy.add_row(
            one.role,
            f"{one.gsd_m:g} m",
            f"[bold]{found.ce90_m:.2f} m",
            f"{found.ce90_m / one.gsd_m:.2f}",
            f"{np.median(found.east_m):+.2f} m",
            f"{np.median(found.north_m):+.2f} m",
            f"{len(found.row)} of {found.patches}",
        )
    console.print(accuracy)
