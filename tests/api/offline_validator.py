"""stac-api-validator without a network: run by the Python of `.venv-validator` with the schemas' folder in SCHEMAS.

What a URL ``https://HOST/PATH`` would answer lies at ``SCHEMAS/HOST/PATH``; any other host but this machine is refused,
so that a schema that is missing is an error of the run, not a silent gap.
"""

import io
import os
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import requests

FOLDER = Path(os.environ["SCHEMAS"])

_send, _open = requests.adapters.HTTPAdapter.send, urllib.request.urlopen


def read(address):
    """The schema of an address; None where this machine itself is asked."""
    parts = urlsplit(address)
    if parts.hostname == "127.0.0.1":
        return None
    file = FOLDER / str(parts.netloc) / parts.path.lstrip("/")
    if not file.is_file():
        raise requests.ConnectionError(f"no schema for {address} in the folder {FOLDER.name}")
    return file.read_bytes()


def send(self, request, **kwargs):
    body = read(request.url)
    if body is None:
        return _send(self, request, **kwargs)
    answer = requests.Response()
    answer.status_code, answer.url, answer.raw, answer.request = 200, request.url, io.BytesIO(body), request
    answer.headers["content-type"] = "application/json"
    return answer


def urlopen(url, *args, **kwargs):
    body = read(url if isinstance(url, str) else url.full_url)
    return _open(url, *args, **kwargs) if body is None else io.BytesIO(body)


requests.adapters.HTTPAdapter.send = send
urllib.request.urlopen = urlopen  # before stac-validator imports it by name

from stac_api_validator.__main__ import main  # noqa: E402

sys.exit(main(prog_name="stac-api-validator"))
