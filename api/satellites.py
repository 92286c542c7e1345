"""The fleet over HTTP, an extension beside STAPI: who flies, by which elements; changes where they are allowed.

What is sent is JSON: ``satellites`` and ``stations`` as `overflight satellites export` writes them, two-line sets as a
text ``tle``, or OMM.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.problems import REFUSALS, Problem
from catalog.extent import format_time
from tasking.ageing import Ageing
from tasking.fleet import Fleet
from tasking.fleet_file import read_fleet_file
from tasking.satellite import Satellite
from tasking.satellite_document import satellite_document, station_document

Id = Annotated[str, Path(max_length=100)]

READ_ONLY = Problem(
    403,
    "read-only",
    "The fleet takes no changes",
    "changes over HTTP are off: set OVERFLIGHT_FLEET_WRITES=true where whoever reaches the server may make them",
)

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {}}},
    }
}


def satellites_router(fleet: Fleet, *, writes: bool) -> APIRouter:
    """Every route below ``/satellites``; what changes something says how to allow it where it is not."""
    router = APIRouter(prefix="/satellites", tags=["satellites (extension)"], responses=REFUSALS)

    @router.get("", summary="Satellites and ground stations")
    def satellites() -> JSONResponse:
        now = datetime.now(UTC)
        return JSONResponse(
            {
                "satellites": [_document(one, now) for one in fleet.satellites()],
                "stations": [station_document(one) for one in fleet.stations()],
            }
        )

    @router.get("/{satellite_id}", summary="One satellite, with every element set that came in, the newest first")
    def satellite(satellite_id: Id) -> JSONResponse:
        history = [
            {
                "epoch": format_time(kept.elements.epoch),
                "added": format_time(kept.added),
                "elements": [kept.elements.line1, kept.elements.line2],
            }
            for kept in fleet.history(satellite_id)
        ]
        return JSONResponse({**_document(fleet.satellite(satellite_id), datetime.now(UTC)), "history": history})

    @router.post("", summary="Bring satellites, stations or element sets", openapi_extra=_BODY)
    async def bring(request: Request) -> JSONResponse:
        text = (await request.body()).decode(errors="replace")
        if not writes:
            raise READ_ONLY
        return JSONResponse(await run_in_threadpool(_bring, fleet, text))

    @router.delete("/{satellite_id}", status_code=204, summary="Take a satellite out, with its history")
    def remove(satellite_id: Id) -> Response:
        if not writes:
            raise READ_ONLY
        fleet.remove(satellite_id)
        return Response(status_code=204)

    return router


def _document(satellite: Satellite, now: datetime) -> dict[str, Any]:
    ageing = asdict(Ageing.of(satellite.elements, now.timestamp()))
    epoch = format_time(satellite.elements.epoch)
    return {**satellite_document(satellite), "epoch": epoch, "ageing": {k: round(v, 3) for k, v in ageing.items()}}


def _bring(fleet: Fleet, text: str) -> dict[str, Any]:
    file, now = read_fleet_file(text), datetime.now(UTC)
    fleet.put(file.satellites, now=now)
    fleet.put_stations(file.stations)
    update = fleet.update([elements for _, elements in file.sets], now=now)
    return {"satellites": len(file.satellites), "stations": len(file.stations), **asdict(update)}
