"""Files appear whole or not at all, and no key leads out of their folder."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.assets import UNFINISHED, AssetFolder
from catalog.errors import CatalogError, NotFoundError
from catalog.search import BASE

KEY = "scenes/one/multispectral.tif"

BAD_KEYS = [
    "", "/", "//", "a//b", "/etc/passwd", "../secret", "scenes/../../secret", "scenes/..", ".", "..", "a/./b",
    "scenes/one/", "scenes\\one", "a\x00b", "a\nb", "~/x\n", "%2e%2e/secret", "é", "\ud800", "a:b", "x" * 201,
    "/".join("abcdefghi"), UNFINISHED, f"{UNFINISHED}/x/name.tif",
]  # fmt: skip


@pytest.fixture
def assets(tmp_path):
    (tmp_path / "secret").write_text("not yours")
    return AssetFolder(tmp_path / "assets")


def write(assets, key=KEY, content=b"pixels"):
    with assets.writing(key) as path:
        path.write_bytes(content)


def files(assets):
    return sorted(path.relative_to(assets.root).as_posix() for path in assets.root.rglob("*") if path.is_file())


def test_a_file_comes_back_under_its_key(assets):
    write(assets)
    assert assets.path(KEY).read_bytes() == b"pixels"
    assert assets.href(KEY) == f"{BASE}/files/{KEY}"
    assert files(assets) == [KEY]
    assert not any((assets.root / UNFINISHED).iterdir())


def test_writing_again_replaces_at_once(assets):
    write(assets)
    with assets.path(KEY).open("rb") as reader, assets.writing(KEY) as path:
        path.write_bytes(b"newer")
        assert assets.path(KEY).read_bytes() == b"pixels"
        assert reader.read() == b"pixels"
    assert assets.path(KEY).read_bytes() == b"newer"


def test_the_temporary_file_has_the_name_and_the_file_system_of_the_final_one(assets):
    with assets.writing(KEY) as path:
        assert path.name == "multispectral.tif"
        assert path.parent.stat().st_dev == assets.root.stat().st_dev
        path.touch()


def test_an_error_leaves_nothing(assets):
    write(assets)

    def fail():
        with assets.writing(KEY) as path:
            path.write_bytes(b"half of the")
            (path.parent / "multispectral.tif.aux.xml").touch()
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert assets.path(KEY).read_bytes() == b"pixels"
    assert files(assets) == [KEY]


def test_a_disk_that_fills_up_while_flushing_leaves_nothing(assets, monkeypatch):
    """The kernel may report a full disk only at fsync(2), after every write has succeeded."""

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(assets)
    assert files(assets) == []


def test_a_really_full_disk_leaves_nothing(assets):
    """/dev/full answers every write with ENOSPC, as a full file system does."""

    def fill():
        with assets.writing(KEY) as path, path.open("wb") as file, Path("/dev/full").open("wb", 0) as full:
            file.write(b"half")
            full.write(b"the other half")

    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="No space"):
        fill()
    assert files(assets) == []


def test_writing_nothing_is_an_error(assets):
    with pytest.raises(CatalogError, match="nothing was written"), assets.writing(KEY):
        pass
    assert files(assets) == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_that_are_none(assets, key):
    write(assets)
    with pytest.raises(NotFoundError):
        assets.path(key)
    with pytest.raises(CatalogError, match="no key"), assets.writing(key) as path:
        path.touch()


@given(
    st.lists(st.sampled_from(["..", ".", "scenes", "one", "multispectral.tif", "secret", "", "etc", "~"])).map("/".join)
)
def test_only_what_was_written_is_found(tmp_path_factory, key):
    assets = AssetFolder(tmp_path_factory.getbasetemp() / "only" / "assets")
    (assets.root.parent).mkdir(exist_ok=True)
    (assets.root.parent / "secret").touch()
    write(assets)
    if key == KEY:
        assert assets.path(key).is_file()
    else:
        with pytest.raises(NotFoundError):
            assets.path(key)


def test_links_are_not_followed(assets, tmp_path):
    write(assets)
    (assets.root / "scenes" / "one" / "out.tif").symlink_to(tmp_path / "secret")
    (assets.root / "scenes" / "elsewhere").symlink_to(tmp_path)
    (assets.root / "scenes" / "loop").symlink_to(assets.root / "scenes" / "loop")
    for key in ("scenes/one/out.tif", "scenes/elsewhere/secret", "scenes/loop/secret", "scenes/loop"):
        with pytest.raises(NotFoundError):
            assets.path(key)


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "assets").symlink_to(tmp_path / "disk")
    assets = AssetFolder(tmp_path / "assets")
    write(assets)
    assert assets.path(KEY).read_bytes() == b"pixels"


def test_folders_are_no_files(assets):
    write(assets)
    with pytest.raises(NotFoundError):
        assets.path("scenes/one")


def test_sweep_removes_what_dead_writers_left(assets):
    with assets.writing(KEY) as alive:
        alive.write_bytes(b"still growing")
        dead = assets.root / UNFINISHED / "0123"
        dead.mkdir()
        (dead / "half.tif").write_bytes(b"half")
        hour_ago = time.time() - 3600
        for path in (dead / "half.tif", dead, alive.parent):
            os.utime(path, (hour_ago, hour_ago))
        assert assets.sweep(older_than_s=7200) == 0
        assert assets.sweep(older_than_s=1800) == 1
        assert not dead.exists()
    assert assets.path(KEY).read_bytes() == b"still growing"
    assert AssetFolder(assets.root / "none").sweep(older_than_s=0) == 0


def test_many_writers_of_one_key(assets):
    contents = [bytes([number]) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write, args=(assets, KEY, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert assets.path(KEY).read_bytes() in contents
    assert files(assets) == [KEY]
