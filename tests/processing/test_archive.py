import gzip
import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import archive
from processing.archive import is_archive, unpack
from processing.errors import DeliveryError
from tests.processing.hostile_files import mutate

FILES = {"delivery.json": b"{}", "ms.tif": bytes(range(256)) * 900, "heights/dem.tif": b"II*\0", "heights/empty": b""}
SUFFIXES = ["zip", "tar", "tar.gz"]


def pack(path, files, *, top="", **options):
    """With Python's own writers; options are the attributes of a member."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(top + name, content)
        return path
    with tarfile.open(
        path, "w:gz" if path.suffix == ".gz" else "w", format=options.pop("format", tarfile.PAX_FORMAT)
    ) as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(content)
            for key, value in options.items():
                setattr(member, key, value)
            packed.addfile(member, io.BytesIO(content))
    return path


def found(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(path, words, name="scene"):
    """The archive is refused, in words that begin with its name, and nothing remains."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(DeliveryError, match=words) as error:
        unpack(path, path.parent / name)
    assert str(error.value).startswith(f"{path.name}: ")
    assert sorted(path.parent.rglob("*")) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("top", ["", "PHR1B_2013/", "./", "./PHR1B_2013/"])
def test_a_delivery_is_unpacked_whole(suffix, top, tmp_path):
    path = pack(tmp_path / f"a.{suffix}", FILES, top=top)
    assert is_archive(path)
    assert found(unpack(path, tmp_path / "scene")) == FILES
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name, "scene"]
    assert (tmp_path / "scene" / "ms.tif").stat().st_mode & 0o111 == 0


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_each_kind_of_tar(kind, tmp_path):
    long = {
        "/".join(["folder" * 8] * 3) + "/ä" + "b" * 60: b"x",
        "n" * (80 if kind == tarfile.USTAR_FORMAT else 200): b"y",
    }
    path = pack(tmp_path / "a.tar.gz", FILES | long, format=kind)
    assert found(unpack(path, tmp_path / "scene")) == FILES | long


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=pax"], ["--format=ustar"], ["--format=v7"], ["-z"]])
def test_what_gnu_tar_packs(options, tmp_path):
    if shutil.which("tar") is None:
        pytest.skip("needs tar")
    source = tmp_path / "source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    subprocess.run(["tar", *options, "-cf", tmp_path / "a.tar", "-C", source, "."], check=True)
    if options == ["--format=v7"]:  # has no mark that it could be known by
        assert not is_archive(tmp_path / "a.tar")
        return
    assert found(unpack(tmp_path / "a.tar", tmp_path / "scene")) == FILES


@given(
    st.dictionaries(
        st.lists(
            st.text("abcxyz09_-. ", min_size=1, max_size=12).filter(lambda part: part.strip(".")),
            min_size=1,
            max_size=4,
        )
        .map("/".join)
        .filter(lambda name: ":" not in name),
        st.binary(max_size=3000),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(SUFFIXES),
)
@settings(max_examples=40)
def test_any_files_come_back(tmp_path_factory, files, suffix):
    names = sorted(files)
    files = {name: files[name] for name in names if not any(other.startswith(f"{name}/") for other in names)}
    folder = tmp_path_factory.mktemp("any")
    files["delivery.json"] = b"{}"
    assert found(unpack(pack(folder / f"a.{suffix}", files), folder / "scene")) == files
    shutil.rmtree(folder)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil.txt", "leads out of its folder"),
        ("a/../../evil.txt", "leads out of its folder"),
        ("a/..", "leads out of its folder"),
        ("/tmp/evil.txt", "leads out of its folder"),
        ("//evil.txt", "leads out of its folder"),
        ("..\\evil.txt", "leads out of its folder"),
        ("a\\b.txt", "leads out of its folder"),
        ("C:/evil.txt", "leads out of its folder"),
        ("C:evil.txt", "leads out of its folder"),
        ("a\nb", "no usable name"),
        ("a\x1b[2Jb", "no usable name"),
        ("x\u202efit.exe", "no usable name"),
        ("n" * 300, "no usable name"),
        ("d/" * 600 + "x", "no usable name"),
        (".", "without a name|leads out|no usable"),
    ],
)
def test_names_that_lead_elsewhere(suffix, name, words, tmp_path):
    refused(pack(tmp_path / f"a.{suffix}", {"delivery.json": b"", name: b"evil"}), words)
    assert not os.path.lexists("/tmp/evil.txt")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "names",
    [
        ("a.tif", "a.tif"),
        ("a.tif", "A.TIF"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("Ab/x", "aB/y"),
        ("caf\u00e9", "cafe\u0301"),
        ("a/b", "./a//b"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice(suffix, names, tmp_path):
    path = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name in names:
                packed.writestr(name, b"x")
    else:
        with tarfile.open(path, "w:gz" if suffix == "tar.gz" else "w") as packed:
            for name in names:
                packed.addfile(tarfile.TarInfo(name))
    refused(path, "comes twice")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a pipe"),
        (tarfile.GNUTYPE_SPARSE, "is a sparse file"),
        (b"V", "is of kind b'V'"),
    ],
)
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_what_is_no_file_in_a_tar(suffix, kind, words, tmp_path):
    refused(pack(tmp_path / f"a.{suffix}", {"passwd": b""}, type=kind, linkname="/etc/passwd"), words)


def test_sparse_files_in_pax(tmp_path):
    path = pack(tmp_path / "a.tar", {"big": b"1\n0\n"}, pax_headers={"GNU.sparse.realsize": str(2**50)})
    refused(path, "a sparse file")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_what_is_no_file_in_a_zip(mode, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        info = zipfile.ZipInfo("passwd")
        info.external_attr = (mode | 0o644) << 16
        packed.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "a link or a special file")


def test_encrypted_and_rare(tmp_path):
    content = pack(tmp_path / "a.zip", FILES).read_bytes()
    for flag in (0x1, 0x40, 0x2000):
        path = tmp_path / "b.zip"
        path.write_bytes(_with_flag(content, flag))
        refused(path, "is encrypted; pack it without a password")
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a", b"x" * 1000)
    refused(tmp_path / "c.zip", "compressed by method 14; pack it with deflate")


def _with_flag(content, flag):
    at = content.find(b"PK\1\2")
    return content[: at + 8] + struct.pack("<H", flag) + content[at + 10 :]


def test_bombs(tmp_path):
    """By ratio, in one file, in many, hidden from what the header says, and by members that share their bytes."""
    size = archive.FREE_BYTES + 1
    start = time.perf_counter()
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as packed, packed.open("zeros", "w") as file:
        for _ in range(size // 2**20 + 1):
            file.write(bytes(2**20))
    refused(tmp_path / "one.zip", "unpacks to more than")
    content = (tmp_path / "one.zip").read_bytes()
    at = content.find(b"PK\1\2")
    (tmp_path / "liar.zip").write_bytes(content[: at + 24] + struct.pack("<I", 1000) + content[at + 28 :])
    refused(tmp_path / "liar.zip", "damaged|more than")
    with gzip.open(tmp_path / "one.tar.gz", "wb", 1) as file:
        member = tarfile.TarInfo("zeros")
        member.size = size
        file.write(member.tobuf())
        for _ in range(size // 2**20 + 1):
            file.write(bytes(2**20))
    refused(tmp_path / "one.tar.gz", "more than")
    with gzip.open(tmp_path / "header.tar.gz", "wb", 1) as file:  # a name of some gigabytes
        member = tarfile.TarInfo("name")
        member.type, member.size = tarfile.XHDTYPE, 2**33
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(2**20))
    refused(tmp_path / "header.tar.gz", "an extended header of 8589934592 bytes")
    assert time.perf_counter() - start < 30


def test_members_that_share_their_bytes(tmp_path):
    content = pack(tmp_path / "a.zip", {"a": bytes(10_000), "b": bytes(10_000)}).read_bytes()
    first = content.find(b"PK\1\2")
    second = content.find(b"PK\1\2", first + 4)
    # the second entry of the contents points at the first member
    (tmp_path / "b.zip").write_bytes(content[: second + 42] + struct.pack("<I", 0) + content[second + 46 :])
    refused(tmp_path / "b.zip", "share their bytes")


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 20)
    for suffix in SUFFIXES:
        refused(pack(tmp_path / f"a.{suffix}", {f"{number}": b"" for number in range(21)}), "more than 20 files")
        unpack(pack(tmp_path / f"b.{suffix}", {f"{number}": b"" for number in range(20)}), tmp_path / suffix)


def test_a_table_of_contents_without_end(tmp_path):
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65_535, 65_535, 2**31, 0, 0)
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + bytes(1000) + end)
    refused(tmp_path / "a.zip", "more than 100000 files")
    far = struct.pack("<4sIQI", b"PK\6\7", 0, 4, 1)
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2**40, 2**40, 2**40, 0)
    (tmp_path / "b.zip").write_bytes(b"PK\3\4" + record + far + end)
    refused(tmp_path / "b.zip", "more than 100000 files")


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"II*\0" + bytes(1000))
    assert not is_archive(tmp_path / "a.zip")
    refused(tmp_path / "a.zip", "no archive that is known; give ZIP, tar or tar.gz")
    refused(tmp_path / "none.zip", "there is no such file")
    (tmp_path / "scene").mkdir()
    refused(pack(tmp_path / "b.zip", FILES), "scene is there already")


def test_nothing_is_written_where_nothing_may_be(tmp_path):
    path = pack(tmp_path / "a.zip", FILES)
    with pytest.raises(DeliveryError, match=r"a.zip: cannot be unpacked beside scene \(No such file"):
        unpack(path, tmp_path / "missing" / "scene")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_archive_that_is_cut_off(suffix, share, tmp_path):
    random = np.random.default_rng(1).bytes(50_000)
    content = pack(tmp_path / f"a.{suffix}", FILES | {"random": random}).read_bytes()
    (tmp_path / f"b.{suffix}").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / f"b.{suffix}", "damaged or cut off")


def test_damaged_archives_are_unpacked_or_refused(tmp_path):
    whole = {suffix: pack(tmp_path / f"a.{suffix}", FILES).read_bytes() for suffix in SUFFIXES}
    outcomes = set()
    for index in range(300):
        random = np.random.default_rng([3, index])
        suffix = SUFFIXES[index % 3]
        path = tmp_path / f"b.{suffix}"
        path.write_bytes(mutate(whole[suffix], random))
        try:
            unpack(path, tmp_path / "scene")
            outcomes.add("unpacked")
            shutil.rmtree(tmp_path / "scene")
        except DeliveryError:
            outcomes.add("refused")
        assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith((".", "scene"))]
    assert outcomes == {"unpacked", "refused"}
