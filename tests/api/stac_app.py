"""The STAC API alone, over any catalog, with everything that the whole application puts around it."""

from fastapi import FastAPI

from api import problems
from api.app import add_middleware
from api.settings import Settings
from api.shortcut import Shortcut
from api.stac.router import PATH_NAMES, stac_router


def stac_app(catalog, *, writes=False, settings=None):
    app = FastAPI()
    app.state.settings = settings or Settings()
    problems.install(app)
    router, shortcuts = stac_router(catalog, writes=writes)
    app.add_middleware(Shortcut, shortcuts=shortcuts, names=PATH_NAMES)
    add_middleware(app, Settings())
    app.include_router(router)
    return app
