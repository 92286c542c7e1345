"""The HTTP application: every router, the console's files, and how the whole is asked for its health."""

import logging
import mimetypes
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api import problems
from api.compression import Compressed
from api.files import files_router
from api.head import HeadAsGet
from api.installation import Installation
from api.limits import BodyLimits
from api.origins import ReadableElsewhere
from api.satellites import satellites_router
from api.settings import Settings, asks_for_telemetry
from api.shortcut import Shortcut
from api.stac.router import PATH_NAMES, stac_router
from api.stapi import stapi_router
from tasking.worker import Progress

log = logging.getLogger("overflight.api")

CONSOLE = Path(__file__).parent / "console"
CONSOLE_POLICY = (
    "default-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page runs its own files only: nothing inline, nothing from elsewhere (Content Security Policy Level 3)."""

VENDOR = CONSOLE / "vendor"
"""Third-party browser code, which `make console` fetches."""

MIN_FREE_BYTES = 256 * 2**20
"""Below this, a scene would not fit: the installation is not ready."""

WORKER_GRACE_S = 20.0
"""How long a stopping server waits for the step in hand; a step cut short runs again after its lease."""

DESCRIPTION = """Order a picture of a place; get an analysis-ready scene in a catalog.

`/stapi` takes orders (STAPI 0.1.0), `/stac` finds scenes (STAC API 1.0), `/files` serves them.
Every error is a problem document (RFC 9457)."""

NO_SWAGGER = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Overflight</title>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em">
<h1>This page needs Swagger UI</h1>
<p>It is fetched once: run <code>make console</code> where Overflight is installed, then load this page again.</p>
<p>The description itself is at <a href="openapi.json">openapi.json</a>.</p></body></html>"""

mimetypes.add_type("text/javascript", ".mjs")


def create_app(settings: Settings, *, progress: Progress | None = None) -> FastAPI:
    """Build the application over the installation in ``settings.data``; the folder is made when it is absent.

    ``progress`` is told what the embedded worker does.

    Raises
    ------
    HeightsError
        The DEM that is set cannot be used.
    """
    installation = Installation.open(settings)
    app = FastAPI(
        title="Overflight",
        version=version("overflight"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        telemetry=None if asks_for_telemetry() else {"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.installation = installation
    # Made here, so that a setting that no worker can work with ends the start.
    app.state.worker = installation.worker(progress=progress) if settings.embedded_worker else None
    app.state.worker_thread = None
    problems.install(app)
    stac, shortcuts = stac_router(installation.catalog, writes=settings.catalog_writes)
    app.add_middleware(Shortcut, shortcuts=shortcuts, names=PATH_NAMES)
    add_middleware(app, settings)
    app.include_router(stac)
    app.include_router(stapi_router(installation))
    app.include_router(satellites_router(installation.store.fleet, writes=settings.fleet_writes))
    app.include_router(files_router(installation.assets))
    _add_health(app, installation)
    _add_documentation(app)
    _add_console(app)
    return app


def add_middleware(app: FastAPI, settings: Settings) -> None:
    """From the inside out: the last one sees a request first."""
    app.add_middleware(BodyLimits, max_bytes=settings.max_body_bytes)
    app.add_middleware(Compressed)
    if settings.cors_origins:
        app.add_middleware(ReadableElsewhere, origins=[origin.strip() for origin in settings.cors_origins.split(",")])
    app.add_middleware(HeadAsGet)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the embedded worker as long as the server runs."""
    installation: Installation = app.state.installation
    stop = threading.Event()
    if app.state.worker is not None:
        app.state.worker_thread = threading.Thread(
            target=app.state.worker.run, args=(stop,), name="worker", daemon=True
        )
        app.state.worker_thread.start()
    try:
        yield
    finally:
        stop.set()
        if app.state.worker_thread is not None:
            await run_in_threadpool(app.state.worker_thread.join, WORKER_GRACE_S)
        await run_in_threadpool(installation.close)


def _add_health(app: FastAPI, installation: Installation) -> None:
    @app.get("/livez", tags=["health"], summary="Whether the process answers")
    def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        tags=["health"],
        summary="Whether orders can be taken and carried out; 503 says what is missing",
        responses={503: {"description": "Something is missing: each check names its reason"}},
    )
    def readyz() -> JSONResponse:
        checks = {name: _reason(check) for name, check in _checks(app, installation).items()}
        ready = not any(checks.values())
        answer = {
            "status": "ready" if ready else "not ready",
            "checks": {name: reason or "ok" for name, reason in checks.items()},
        }
        return JSONResponse(answer, status_code=200 if ready else 503, headers={"cache-control": "no-store"})


def _checks(app: FastAPI, installation: Installation) -> Mapping[str, Callable[[], str | None]]:
    """Each check returns what is wrong, or None; whatever it raises is wrong too."""

    def store() -> str | None:
        installation.store.ping()
        return None

    def catalog() -> str | None:
        held = len(installation.catalog.view().summaries())
        wanted = len({product.collection for product in installation.products.values()})
        return None if held >= wanted else f"holds {held} collections where the products need {wanted}"

    def disk() -> str | None:
        free = shutil.disk_usage(installation.settings.data).free
        return None if free >= MIN_FREE_BYTES else f"{free >> 20} MiB free; a scene needs {MIN_FREE_BYTES >> 20}"

    def worker() -> str | None:
        thread = app.state.worker_thread
        if not installation.settings.embedded_worker or (thread is not None and thread.is_alive()):
            return None
        return "the embedded worker does not run; the log says why"

    return {"store": store, "catalog": catalog, "disk": disk, "worker": worker}


def _reason(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Exception as error:
        log.warning("not ready", exc_info=error)
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"


def _add_documentation(app: FastAPI) -> None:
    """Swagger UI from our own files: the default page loads it from a network that may not be there."""
    swagger = VENDOR / "swagger-ui"

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        if not (swagger / "swagger-ui-bundle.js").is_file():
            return HTMLResponse(NO_SWAGGER, status_code=503)
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Overflight: HTTP interface",
            swagger_js_url="vendor/swagger-ui/swagger-ui-bundle.js",
            swagger_css_url="vendor/swagger-ui/swagger-ui.css",
            swagger_favicon_url="data:,",
        )


def _add_console(app: FastAPI) -> None:
    """The page at ``/``; where its third-party code is absent, it says so itself."""
    app.router.routes.append(_LastResort("/", _ConsoleFiles(directory=CONSOLE, html=True), name="console"))


class _LastResort(Mount):
    """Matches what no route matches, not even with another method: that one is to answer 405."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.PARTIAL if match is Match.FULL else match), child


class _ConsoleFiles(StaticFiles):
    """Static files that a browser asks about again each time: they change with the installed version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.setdefault("cache-control", "no-cache")
        response.headers["content-security-policy"] = CONSOLE_POLICY
        return response
