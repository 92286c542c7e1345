"""Where clients reach this installation, as the addresses in its answers begin."""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", flags=re.ASCII)
"""A name or an address with its port: nothing that would change the JSON that it is written into."""


def public_address(request: Request) -> str:
    """Address of this installation without a trailing slash: as set, else as the client wrote it.

    Raises
    ------
    HTTPException
        The request's Host header is no host (400).
    """
    settings = getattr(request.app.state, "settings", None)
    public_url = getattr(settings, "public_url", None)
    if public_url is not None:
        return str(public_url).rstrip("/")
    host = next((value for name, value in request.scope["headers"] if name == b"host"), b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        raise HTTPException(400, "the Host header is no host name or address with a port")
    return f"{request.scope.get('scheme', 'http')}://{host}{request.scope.get('root_path', '').rstrip('/')}"
