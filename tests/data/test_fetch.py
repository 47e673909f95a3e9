"""Downloads against a server that cuts, lies and redirects: what is used is what was published, or nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench.data import remote
from bench.data.remote import fetch
from bench.data.source import DataFile, checked
from bench.errors import BenchError

pytest.importorskip("pooch", reason="downloads need the extra 'download'")

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}"
BLOB = f"git-blob-sha1:{hashlib.sha1(b'blob 700000' + bytes(1) + CONTENT, usedforsecurity=False).hexdigest()}"


class Server(BaseHTTPRequestHandler):
    """What a path says: good, wrong, cut, stuck, plain (no ranges), moved, other (another range), or a status."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        how, span = self.path.strip("/"), self.headers.get("Range", "")
        self.asked.append((how, span))
        if how.isdigit():
            self.send_error(int(how))
            return
        if how == "moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        content = bytes(len(CONTENT)) if how == "wrong" else CONTENT
        start = int(span[6:-1]) if span and how != "plain" else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            shown = start + (1 if how == "other" else 0)
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = {"cut": start + 2**18, "stuck": 2**18}.get(how, len(content))
        self.wfile.write(content[start:stop])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Server.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("checksum", [SHA, MD5, BLOB, ""])
@pytest.mark.parametrize("how", ["good", "moved", "plain"])
def test_a_file_is_brought_whole(server: str, tmp_path: Path, how: str, checksum: str) -> None:
    told: list[tuple[int, int]] = []
    path = fetch(DataFile("a.bin", (f"{server}/{how}",), checksum), tmp_path / "new", lambda *now: told.append(now))
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["a.bin"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    asked = len(Server.asked)
    assert fetch(DataFile("a.bin", (f"{server}/{how}",), checksum), path.parent) == path
    assert len(Server.asked) == asked, "what is there isn't asked for"


def test_a_cut_download_goes_on_where_it_was(server: str, tmp_path: Path) -> None:
    assert fetch(DataFile("a.bin", (f"{server}/cut",), SHA), tmp_path).read_bytes() == CONTENT
    assert [span for _, span in Server.asked] == ["", "bytes=262144-", "bytes=524288-"]


def test_what_was_left_is_resumed_by_the_next_command(server: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"stuck: cut off after 262,144 bytes$"):
        fetch(DataFile("a.bin", (f"{server}/stuck",), SHA), tmp_path)
    assert names(tmp_path) == ["a.bin.part"]
    assert fetch(DataFile("a.bin", (f"{server}/good",), SHA), tmp_path).read_bytes() == CONTENT
    assert Server.asked[-1] == ("good", "bytes=262144-")


@pytest.mark.parametrize("left", [b"nonsense", CONTENT[:-1] + b"x", CONTENT + b"x", CONTENT])
@pytest.mark.parametrize("how", ["good", "plain"])
def test_a_wrong_beginning_is_thrown_away(server: str, tmp_path: Path, how: str, left: bytes) -> None:
    (tmp_path / "a.bin.part").write_bytes(left)
    assert fetch(DataFile("a.bin", (f"{server}/{how}",), SHA), tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == ["a.bin"]


def test_without_a_checksum_nothing_is_resumed(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"nonsense")
    assert fetch(DataFile("a.bin", (f"{server}/good",)), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("first", ["404", "503", "wrong", "stuck"])
def test_the_next_mirror_takes_over(server: str, tmp_path: Path, first: str) -> None:
    file = DataFile("a.bin", (f"{server}/{first}", "http://127.0.0.1:9/closed", f"{server}/good"), SHA)
    assert fetch(file, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("how", "why"),
    [("404", "404 Not Found"), ("503", "503 Service Unavailable"), ("wrong", f"a.bin.*has.*{SHA[7:]}")],
)
def test_what_no_mirror_has_is_one_line_and_leaves_nothing(server: str, tmp_path: Path, how: str, why: str) -> None:
    with pytest.raises(BenchError, match=f"^a.bin can't be had: {server}/{how}: .*{why}") as error:
        fetch(DataFile("a.bin", (f"{server}/{how}",), SHA), tmp_path)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_a_range_that_was_not_asked_for_is_refused(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    with pytest.raises(BenchError, match="other bytes than asked for"):
        fetch(DataFile("a.bin", (f"{server}/other",), SHA), tmp_path)


def test_more_than_the_published_size_is_not_taken(server: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="longer than the 5,000 bytes"):
        fetch(DataFile("a.bin", (f"{server}/good",), "", 5000), tmp_path)
    assert names(tmp_path) == []


def test_another_file_in_its_place_is_neither_used_nor_overwritten(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    for file in (DataFile("a.bin", (f"{server}/good",), SHA), DataFile("a.bin", (f"{server}/good",), SHA, 700_000)):
        with pytest.raises(BenchError, match=r"a.bin: has .*the published file has"):
            fetch(file, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    assert Server.asked == []


def test_a_full_disk_is_one_line(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remote, "fsync", full)
    with pytest.raises(BenchError, match=r"a.bin: can't be written: No space left on device"):
        fetch(DataFile("a.bin", (f"{server}/good",), SHA), tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BenchError, match=r"a.bin: can't be written: "):
        fetch(DataFile("a.bin", ("http://127.0.0.1:9/",), SHA), tmp_path / "file" / "folder")


def test_a_file_without_an_address_says_so(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="put it there yourself"):
        fetch(DataFile("a.bin"), tmp_path)


def test_git_knows_contents_by_their_blob(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello\n")
    blob = "git-blob-sha1:ce013625030ba8dba906f756967f9e9ca394464a"
    assert checked(tmp_path / "a", DataFile("a", (), blob)) == hashlib.sha256(b"hello\n").hexdigest()
