"""The running server: one socket, one uvicorn, a clean end on SIGTERM and SIGINT."""

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from api.settings import Settings

GRACE_S = 5
"""How long open requests may go on once the server is told to end."""


class _Server(uvicorn.Server):
    """Announces itself once it answers."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._announce()


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``announce`` is told the address once requests are answered.

    Raises
    ------
    OSError
        The address cannot be listened on.
    """
    configure_logging(settings)
    listener = listen(settings.host, settings.port)
    address = settings.public_url or _address(settings.host, listener)
    with contextlib.closing(listener), _quiet_signals():
        from api.app import create_app  # a taken port is told before this is loaded

        config = uvicorn.Config(
            create_app(settings),
            log_config=None,
            access_log=settings.log_level == "debug",
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
        )
        _Server(config, lambda: announce(address)).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket, so that a taken port is told in one line and port 0 can be told at all."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --host, --port") from None
    return listener


def configure_logging(settings: Settings) -> None:
    """Log to stderr, one line an event."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    for noisy in ("distributed", "bokeh", "tornado", "rasterio", "asyncio", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


@contextlib.contextmanager
def _quiet_signals() -> Iterator[None]:
    """Uvicorn raises the signal again once it has ended; an end that was asked for is no failure."""
    before = {signum: signal.signal(signum, lambda *_: None) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
