"""Every command that the documentation shows runs, in the order in which a page shows them.

A page is one story in one fresh folder. `make demo` has been run before it (README says so), its data are in `demo/`.
`overflight serve` and `overflight worker` go on in the background until the page ends; port 8000 becomes a free one.
Blocks marked ``sh`` and ``python`` run; ``console`` shows output, ``text`` is for reading.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HERE_DOCUMENT = re.compile(r"<<'(\w+)'$")
NEEDS_SHARED = re.compile(r"\bventoux/")


@dataclass(frozen=True, kw_only=True)
class Block:
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block: continued lines joined, here-documents whole, comments left out."""
        found: list[str] = []
        until = None
        for line in self.text.replace("\\\n", " ").splitlines():
            if until is not None:
                found[-1] += f"\n{line}"
                until = None if line == until else until
            elif line.strip() and not line.startswith("#"):
                found.append(line)
                here = HERE_DOCUMENT.search(line)
                until = here.group(1) if here else None
        return found


def blocks(page: Path) -> list[Block]:
    found = [Block(language=language, text=text) for language, text in FENCE.findall(page.read_text())]
    return [block for block in found if block.language in ("sh", "python")]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "demo"
    command = [sys.executable, "-m", "api.cli", "demo", "--data", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


class Story:
    """One page's folder and the servers that it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OVERFLIGHT_PORT": self.port,
        }
        self.servers: list[subprocess.Popen[bytes]] = []

    def here(self, text: str) -> str:
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace(
            "localhost:8000", f"localhost:{self.port}"
        )

    def run(self, command: str) -> None:
        if command.startswith(("make ", "git clone", "cd ")):
            return  # CI runs these in a fresh clone
        command = self.here(command)
        if command.startswith(("overflight serve", "overflight worker")):
            self.start(command)
            return
        self.call(["bash", "-euo", "pipefail", "-c", command], command)

    def call(self, argv: list[str], shown: str) -> None:
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, f"$ {shown}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"

    def start(self, command: str) -> None:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.servers.append(server)
        if not command.startswith("overflight serve"):
            return
        for _ in range(300):
            assert server.poll() is None, f"$ {command}\nended with {server.returncode}"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)
        pytest.fail(f"$ {command}\nnot ready after 30 s")

    def end(self) -> None:
        for server in self.servers:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
        for server in self.servers:
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture
def story(tmp_path: Path, demo: Path) -> Iterator[Story]:
    shutil.copytree(demo, tmp_path / "demo")
    told = Story(tmp_path)
    yield told
    told.end()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_commands_of_a_page_run(page: Path, story: Story, request: pytest.FixtureRequest) -> None:
    if NEEDS_SHARED.search(page.read_text()):
        shared: Path = request.getfixturevalue("shared")
        (story.folder / "ventoux").symlink_to(shared / "data" / "pleiades-ventoux")
        (story.folder / "egm96_15.gtx").symlink_to(shared / "data" / "geoid" / "egm96_15.gtx")
    for block in blocks(page):
        if block.language == "python":
            story.call([sys.executable, "-c", story.here(block.text)], block.text)
            continue
        for command in block.commands:
            if command.startswith("curl") and shutil.which("curl") is None:
                pytest.skip("needs curl")
            story.run(command)


def test_make_targets_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"\bmake ([a-z]+)\b", " ".join(
        re.findall(r"`[^`]+`", page.read_text())))}  # fmt: skip
    assert named, "the README names make targets"
    assert named <= targets
