"""The operators' page in a real browser, on the real application with the sandbox.

Each test ends by asking that no request left the page's origin and that the browser's console told of no error.
"""

import io
import itertools
import json
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from api.app import create_app
from api.server import listen
from api.settings import Settings

CONSOLE = Path(__file__).resolve().parents[2] / "api" / "console"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BOX = "5.240, 44.150, 5.300, 44.190"
"""A small area that the sandbox acquires in seconds: west, south, east, north."""

MAP = {"x": 0, "y": 45, "width": 888, "height": 755}
"""Where the map lies on a page of 1280 × 800."""


@dataclass
class Console:
    """A page, its server's address, and what the browser complained of."""

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def open(self, hash_: str = "") -> None:
        self.page.goto(f"{self.address}/{hash_}")
        self.page.get_by_role("link", name="New order").wait_for()

    def type_area(self, text: str) -> None:
        self.page.get_by_role("button", name="Type or paste").click()
        self.page.get_by_label("Coordinates in degrees").fill(text)
        self.page.get_by_role("button", name="Use this area").click()

    def map_at_rest(self) -> np.ndarray:
        """The map's pixels once two pictures in a row are alike."""
        last = None
        for _ in range(60):
            picture = self.page.screenshot(clip=MAP)
            if picture == last:
                break
            last = picture
            self.page.wait_for_timeout(250)
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(float)


@dataclass(frozen=True)
class Running:
    """A served application."""

    address: str
    server: uvicorn.Server
    thread: threading.Thread

    @classmethod
    def start(cls, app: FastAPI) -> "Running":
        listener = listen("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started, seconds=60)
        return cls(f"http://127.0.0.1:{listener.getsockname()[1]}", server, thread)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)


def wait_until(condition: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {condition}")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("needs Debian's chromium on the PATH")
    if not (CONSOLE / "vendor" / ".fetched").is_file():
        pytest.skip("needs the console's third-party code: make console")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Takes orders, and leaves them alone."""
    running = Running.start(create_app(Settings(data=tmp_path_factory.mktemp("served"), embedded_worker=False)))
    yield running
    running.stop()


@pytest.fixture
def console(chromium: Any, served: Running) -> Iterator[Console]:
    yield from watched(chromium, served.address)


@pytest.fixture
def working(chromium: Any, tmp_path: Path) -> Iterator[Console]:
    """A page whose server carries the orders out, on a clock on which days are moments."""
    running = Running.start(create_app(Settings(data=tmp_path, dask_scheduler="threads", sandbox_rate=1e6)))
    try:
        yield from watched(chromium, running.address)
    finally:
        running.stop()


def watched(chromium: Any, address: str, **context: Any) -> Iterator[Console]:
    options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", "color_scheme": "light"}
    opened = chromium.new_context(**{**options, **context})
    page = opened.new_page()
    page.set_default_timeout(20_000)
    console = Console(page, address)
    page.on("console", lambda message: message.type == "error" and console.complaints.append(message.text))
    page.on("pageerror", lambda error: console.complaints.append(str(error)))
    page.on(
        "request",
        lambda request: request.url.startswith((address, "data:")) or console.strangers.append(request.url),
    )
    yield console
    opened.close()
    assert console.strangers == []
    assert [text for text in console.complaints if not any(known in text for known in console.expected)] == []


def test_the_lock_is_exact_and_names_no_address() -> None:
    wanted = json.loads((CONSOLE / "package.json").read_text())["dependencies"]
    lock = json.loads((CONSOLE / "package-lock.json").read_text())
    assert lock["lockfileVersion"] == 3
    assert lock["packages"].pop("")["dependencies"] == wanted
    assert "resolved" not in json.dumps(lock)
    assert all(package["integrity"].startswith("sha512-") for package in lock["packages"].values())
    assert all(lock["packages"][f"node_modules/{name}"]["version"] == version for name, version in wanted.items())


@pytest.mark.browser
@pytest.mark.slow
def test_an_operator_follows_an_order_from_the_map_to_the_scene(working: Console) -> None:
    console, page = working, working.page
    console.open()
    # Draw a box: zoom in by keyboard first, so that it is no continent.
    console.type_area(BOX)
    console.map_at_rest()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Draw box").click()
    drag(page, (300, 300), (560, 520))
    page.get_by_role("button", name="Show", exact=True).wait_for()
    empty = console.map_at_rest()

    page.get_by_role("button", name="Find passes").click()
    passes = page.locator("button.pass")
    passes.first.wait_for()
    assert passes.count() >= 2
    text = passes.first.inner_text()
    assert "sandbox-" in text
    assert text.count("°") == 2
    page.mouse.move(10, 10)
    plain = console.map_at_rest()
    passes.nth(1).hover()
    pointed = console.map_at_rest()
    assert changed_px(empty, plain) > 200, "the passes' outlines are drawn"
    assert changed_px(plain, pointed) > 2000, "the pass that is pointed at shows its footprint"

    page.get_by_role("button", name="Submit order").click()
    page.wait_for_url("**/#order/*")
    steps = page.get_by_role("list", name="History, newest first").get_by_role("listitem")
    page.locator(".scene").wait_for(timeout=90_000)
    page.locator("header .status", has_text="Completed").wait_for(timeout=30_000)
    named = [step.locator("strong").inner_text() for step in steps.all()][::-1]
    assert named[0] == "Received"
    assert named[-1] == "Completed"
    assert {"Accepted", "Scheduled", "Tasked", "Processing"} <= set(named)
    assert "sandbox-" in page.get_by_role("list", name="History, newest first").inner_text()
    assert_scene_lies_where_its_item_says(console)

    for link in page.locator(".scene .files a").all():
        href = link.evaluate("link => link.href")
        with httpx.stream("GET", href) as answer:
            assert answer.status_code == 200, href
    page.get_by_role("link", name="All orders").click()
    page.locator(".order-row", has_text="Completed").first.wait_for()


def drag(page: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=5)
    page.mouse.move(*end, steps=5)
    page.mouse.up()


def changed_px(before: np.ndarray, after: np.ndarray) -> int:
    return int(np.sum(np.abs(before - after).max(axis=2) > 8))


def assert_scene_lies_where_its_item_says(console: Console) -> None:
    """The area's orange outline, at known coordinates, gives the map's scale; through it the thumbnail must be seen."""
    page = console.page
    order = httpx.get(page.get_by_role("definition").get_by_role("link").evaluate("link => link.href")).json()
    item = httpx.get(next(link["href"] for link in order["links"] if link["rel"] == "item")).json()
    seen = console.map_at_rest()
    outline = np.argwhere(np.abs(seen - (196, 73, 12)).max(axis=2) < 24)
    (top, left), (bottom, right) = outline.min(axis=0), outline.max(axis=0)
    west, south, east, north = order["bbox"]
    lon_px = (right - left) / (east - west)
    merc_px = (bottom - top) / (mercator(north) - mercator(south))

    thumbnail = item["assets"]["thumbnail"]
    picture = Image.open(io.BytesIO(httpx.get(thumbnail["href"]).content)).convert("RGBA")
    values = np.asarray(picture).astype(float)
    lon_min, lat_min, lon_max, lat_max = thumbnail["proj:bbox"]
    expected, found = [], []
    for lon, lat in np.random.default_rng(1).uniform((west, south), (east, north), (400, 2)):
        x, y = left + (lon - west) * lon_px, top + (mercator(north) - mercator(lat)) * merc_px
        column = (lon - lon_min) / (lon_max - lon_min) * picture.width
        row = (lat_max - lat) / (lat_max - lat_min) * picture.height
        pixel = values[int(row), int(column)]
        if pixel[3] == 255 and min(x - left, right - x, y - top, bottom - y) > 5:
            expected.append(pixel[:3])
            found.append(seen[round(y), round(x)])
    assert len(expected) > 200
    difference = np.abs(np.array(expected) - np.array(found)).max(axis=1)
    contrast = np.abs(np.array(expected) - np.roll(np.array(found), 1, axis=0)).max(axis=1)
    assert np.median(difference) < 0.35 * np.median(contrast), (np.median(difference), np.median(contrast))


def mercator(lat: float) -> float:
    return math.degrees(math.asinh(math.tan(math.radians(lat))))


@pytest.mark.browser
def test_areas_across_the_antimeridian_and_at_a_pole_can_be_ordered(console: Console) -> None:
    console.open()
    page = console.page
    console.type_area("179.97, -16.80, -179.97, -16.75")
    page.get_by_text("16.77° S, 180.00°").first.wait_for()
    before = console.map_at_rest()
    assert np.sum(np.abs(before - (196, 73, 12)).max(axis=2) < 24) > 400, "its outline is on the map, in one piece"
    page.get_by_role("button", name="Submit order").click()
    page.wait_for_url("**/#order/*")
    order = httpx.get(f"{console.address}/stapi/orders/{page.url.rpartition('/')[2]}").json()
    assert order["bbox"] == pytest.approx([179.97, -16.80, -179.97, -16.75])
    assert order["geometry"]["type"] == "MultiPolygon"

    console.open("#new")
    ring = [[-120, 89.9], [0, 89.9], [120, 89.9], [-120, 89.9]]
    console.type_area(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    page.get_by_role("button", name="Poles", pressed=True).wait_for()
    page.get_by_role("button", name="Find passes").click()
    page.get_by_text("No pass within these limits").wait_for()


@pytest.mark.browser
@pytest.mark.slow
def test_the_map_is_moved_by_mouse_and_by_keyboard(console: Console) -> None:
    console.open()
    page = console.page
    seen = [console.map_at_rest()]
    drag(page, (444, 422), (344, 422))  # the first touch of the page: the map has no focus yet
    seen.append(console.map_at_rest())
    page.mouse.wheel(0, -400)
    seen.append(console.map_at_rest())
    page.locator(".map").focus()
    page.keyboard.press("ArrowLeft")
    seen.append(console.map_at_rest())
    page.keyboard.press("+")
    seen.append(console.map_at_rest())
    page.get_by_role("button", name="World").click()
    seen.append(console.map_at_rest())
    assert all(changed_px(before, after) > 5000 for before, after in itertools.pairwise(seen))


@pytest.mark.browser
def test_a_polygon_is_drawn_corrected_and_given_up(console: Console) -> None:
    console.open()
    page = console.page
    tool = page.get_by_role("button", name="Draw polygon")
    tool.click()
    for corner in ((300, 300), (400, 300), (700, 700)):
        page.mouse.click(*corner)
        page.wait_for_timeout(300)
    page.keyboard.press("Backspace")
    page.mouse.click(400, 380)
    page.wait_for_timeout(300)
    page.mouse.dblclick(300, 380)
    summary = page.locator(".area-summary")
    summary.wait_for()
    drawn = summary.inner_text()
    assert "This product takes at most" in page.locator(".warning").inner_text()

    page.mouse.move(400, 380)
    drag(page, (400, 380), (440, 420))
    page.wait_for_function("before => document.querySelector('.area-summary').innerText !== before", arg=drawn)

    tool.click()
    page.get_by_text("Esc ends it").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Draw polygon", pressed=False).wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Where should the picture be taken?").wait_for()


AREAS = {
    "5.2, 44.1, 5.4, 44.25": [[5.2, 44.1], [5.4, 44.1], [5.4, 44.25], [5.2, 44.25], [5.2, 44.1]],
    "179 -17 -179 -16": [[179, -17], [181, -17], [181, -16], [179, -16], [179, -17]],
    "(5 44) (6 44) (6 45)": [[5, 44], [6, 44], [6, 45], [5, 44]],
    '{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[179,1],[-179,1],[-179,2],[179,1]]]}}': [
        [179, 1],
        [181, 1],
        [181, 2],
        [179, 1],
    ],
}
REFUSED = {
    "": "Give west",
    "here": "“here” is no number",
    "1 2 3": "3 numbers cannot be read",
    "5, 45, 6, 44": "South 45 does not lie below north 44",
    "5 95": "Latitude 95 is not on Earth",
    '{"type": "Point", "coordinates": [5, 44]}': "not Point",
    '{"type": ': "no valid JSON",
}


@pytest.mark.browser
def test_typed_areas_are_read_or_refused_with_what_would_be_right(console: Console) -> None:
    console.open()
    read = "async (text) => (await import(document.baseURI + 'area.js')).parse(text)"
    for text, ring in AREAS.items():
        assert console.page.evaluate(read, text) == {"type": "Polygon", "coordinates": [ring]}, text
    (around,) = console.page.evaluate(read, "5.27, 44.17")["coordinates"]
    assert np.mean(around[:4], axis=0) == pytest.approx([5.27, 44.17])
    for text, reason in REFUSED.items():
        console.page.get_by_role("button", name="Type or paste").click()
        console.page.get_by_label("Coordinates in degrees").fill(text)
        console.page.get_by_role("button", name="Use this area").click()
        assert reason in console.page.get_by_role("alert").inner_text()
        console.page.get_by_role("button", name="Type or paste").click()


@pytest.mark.browser
def test_refusals_are_told_in_the_servers_words_and_lose_nothing(console: Console) -> None:
    console.expected = ("status of 4",)  # the browser itself notes that an answer was a refusal
    console.open()
    page = console.page
    console.type_area("0, 40, 10, 50")
    page.get_by_role("button", name="Submit order").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "km²" in alert.inner_text()
    assert "sandbox-multispectral" in alert.inner_text()
    assert page.locator(".area-summary").is_visible()

    page.get_by_label("To", exact=True).fill("2020-01-01T00:00")
    page.get_by_label("To", exact=True).blur()
    page.get_by_role("button", name="Find passes").click()
    page.get_by_text("The time span ends before it starts.").wait_for()

    console.open("#order/unknown")
    page.get_by_role("alert").wait_for()
    assert "unknown" in page.get_by_role("alert").inner_text()


@pytest.mark.browser
def test_without_its_third_party_code_it_says_what_to_do(console: Console) -> None:
    console.expected = ("Failed to load resource",)
    console.page.route("**/vendor/**", lambda route: route.abort())
    console.page.goto(console.address)
    console.page.get_by_text("make console").wait_for()


def test_the_page_may_run_nothing_but_its_own_files(served: Running) -> None:
    for path in ("/", "/app.js"):
        policy = httpx.get(served.address + path).headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "unsafe" not in policy


@pytest.mark.browser
def test_everything_is_reached_by_keyboard_and_has_a_name(console: Console) -> None:
    console.open()
    page = console.page
    page.get_by_role("button", name="Find passes").wait_for()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('a, button, input, select, textarea')]
            .filter((e) => !(e.innerText || e.ariaLabel || e.title || e.labels?.length)).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    console.type_area(BOX)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id || document.activeElement.innerText"))
    assert {
        "New order",
        "Orders",
        "product",
        "Draw box",
        "start",
        "end",
        "maxCloud",
        "Find passes",
        "Submit order",
    } <= {name.strip() for name in reached}


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (320, 640)])
def test_nothing_runs_over_the_edge(chromium: Any, served: Running, size: tuple[int, int]) -> None:
    width, height = size
    for console in watched(chromium, served.address, viewport={"width": width, "height": height}):
        for hash_ in ("#new", "#orders"):
            console.open(hash_)
            console.page.locator(".sheet").wait_for()
            assert console.page.evaluate("() => document.documentElement.scrollWidth") <= width
            assert console.page.locator(".map canvas").first.bounding_box()["height"] > 200


@pytest.mark.browser
def test_it_works_behind_a_prefix(chromium: Any, tmp_path: Path) -> None:
    inner = create_app(Settings(data=tmp_path, embedded_worker=False))
    outer = FastAPI()
    outer.mount("/eo/overflight", inner)
    running = Running.start(outer)
    try:
        for console in watched(chromium, running.address + "/eo/overflight"):
            console.open()
            console.page.get_by_role("option", name="Sandbox").first.wait_for(state="attached")
            console.page.get_by_label("Off-nadir angle at most").wait_for()
            console.page.get_by_role("link", name="Orders").click()
            console.page.get_by_text("No orders yet").wait_for()
    finally:
        running.stop()
