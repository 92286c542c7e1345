"""Real servers and a real command line, in folders and on ports of their own."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import httpx
import pytest
import uvicorn

from api.server import listen

START_S = 60


@contextlib.contextmanager
def _starting():
    with contextlib.ExitStack() as stack:

        def start(app):
            # Not socket.create_server: asyncio then leaves Nagle's algorithm on, at 40 ms a request.
            listener = stack.enter_context(contextlib.closing(listen("127.0.0.1", 0)))
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()

            def stop():
                server.should_exit = True
                thread.join()

            stack.callback(stop)
            wait_for(lambda: server.started or not thread.is_alive())
            assert server.started
            port = listener.getsockname()[1]
            return stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))

        yield start


@pytest.fixture
def serving():
    """Start an application on a free port; gives a client of it."""
    with _starting() as start:
        yield start


@pytest.fixture(scope="module")
def serving_all():
    """Like `serving`, for all tests of a file."""
    with _starting() as start:
        yield start


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    """Poll until a condition holds; gives its value."""
    return wait_for


def wait_for(condition, seconds=START_S):
    """Poll until the condition holds; its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
    return value


ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OVERFLIGHT_")}


@pytest.fixture
def overflight():
    """Run the command line as a user does; gives the finished process."""

    def run(*arguments, **settings):
        return subprocess.run(
            [sys.executable, "-m", "api.cli", *map(str, arguments)],
            env=ENVIRONMENT | {f"OVERFLIGHT_{name.upper()}": str(value) for name, value in settings.items()},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def overflight_here(capfd, monkeypatch):
    """The same command line in this process: for the many cases that differ in a word."""
    for name in set(os.environ) - set(ENVIRONMENT):
        monkeypatch.delenv(name)

    def run(*arguments):
        from api.cli import main

        monkeypatch.setattr(sys, "argv", ["overflight", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(sys.argv, ended.value.code or 0, out, err)

    return run


@pytest.fixture
def serve():
    """Start `overflight serve` as a process; gives the process and a client of it. Ended at the test's end."""
    with contextlib.ExitStack() as stack:

        def start(data, *arguments, **settings):
            process = subprocess.Popen(
                [sys.executable, "-m", "api.cli", "serve", "--data", str(data), "--port", "0", *arguments],
                env=ENVIRONMENT | {f"OVERFLIGHT_{name.upper()}": str(value) for name, value in settings.items()},
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(end, process)
            said = []
            for line in process.stderr:
                said.append(line)
                if line.startswith("Overflight on "):
                    break
            else:
                pytest.fail("the server did not start:\n" + "".join(said))
            process.said = said
            process.reader = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
            process.reader.start()
            return process, stack.enter_context(httpx.Client(base_url=said[-1].split()[2], timeout=60))

        yield start


def end(process):
    """Kill a process that is still there, and close its pipe."""
    if process.poll() is None:
        process.kill()
    process.wait(30)
    if hasattr(process, "reader"):
        process.reader.join(30)
    process.stderr.close()
