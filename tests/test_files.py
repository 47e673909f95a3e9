"""Files: whole or not at all, and one line about what is wrong with them."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import files
from bench.errors import BenchError, in_words, reason

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(VALUES)
def test_a_record_reads_back_and_equal_records_are_equal_bytes(value):
    content = files.json_bytes(value)
    assert files.parse_json(content, "x") == value
    assert content.endswith(b"\n")
    if isinstance(value, dict):
        assert files.json_bytes(dict(reversed(value.items()))) == content


def test_a_record_holds_no_nan(tmp_path):
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"x": math.nan})
    assert (tmp_path / "a.json").read_text() == "old"


def test_json_for_people_keeps_its_order_and_its_letters():
    assert files.json_text({"β": 1, "a": [0.1]}) == '{\n "β": 1,\n "a": [\n  0.1\n ]\n}\n'


@pytest.mark.parametrize("text", ["", "β\r\nx\n"])
def test_a_text_is_written_as_it_is(tmp_path, text):
    files.write_text(tmp_path / "a", text)
    assert (tmp_path / "a").read_bytes() == text.encode()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_earlier_file_and_no_other(tmp_path, monkeypatch, step):
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), broken)
    with pytest.raises(OSError, match="No space"):
        files.write_bytes(file, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert file.read_bytes() == b"old"


def test_what_a_user_asks_for_is_written_through_a_link(tmp_path):
    (tmp_path / "real.md").write_text("old")
    (tmp_path / "link.md").symlink_to("real.md")
    files.write_out(tmp_path / "link.md", "ß\n")
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_bytes() == "ß\n".encode()
    with pytest.raises(BenchError, match=r"^--json '.*none/x': No such file or directory$"):
        files.write_out(tmp_path / "none" / "x", "", "--json")


def test_toml_and_json_are_read(tmp_path):
    (tmp_path / "a.toml").write_text('β = "ß"\n', encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps({"β": "ß"}), encoding="utf-8")
    # TOML's bare keys are ASCII.
    with pytest.raises(BenchError):
        files.read_toml(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text('"β" = "ß"\n', encoding="utf-8")
    assert files.read_toml(tmp_path / "a.toml") == files.read_json(tmp_path / "a.json") == {"β": "ß"}


@pytest.mark.parametrize("read", [files.read_toml, files.read_json])
@pytest.mark.parametrize("content", [b"[1, \n{", b"\xff\xfe", b"a = " + b"[" * 100_000, b"[" * 100_000])
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, read, content):
    file = tmp_path / "a"
    file.write_bytes(content)
    with pytest.raises(BenchError, match=r"^'.*/a' can't be read: ") as caught:
        read(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(BenchError, match=r"^plan 'a' can't be read: .*; delete it$"):
        read(file, where="plan 'a'", way_out="delete it")


@pytest.mark.parametrize("read", [files.read_toml, files.read_json])
def test_a_file_that_is_missing_or_a_folder(tmp_path, read):
    with pytest.raises(BenchError, match=r"^'.*/none': no such file$"):
        read(tmp_path / "none")
    with pytest.raises(BenchError, match=r"^plan: no such file; run again$"):
        read(tmp_path / "none", where="plan", way_out="run again")
    with pytest.raises(BenchError, match=r"^'.*' can't be read: Is a directory$"):
        read(tmp_path)


def test_the_checksum_of_a_file_is_that_of_its_bytes(tmp_path):
    content = bytes(range(256)) * 4096
    (tmp_path / "a").write_bytes(content)
    assert files.sha256(tmp_path / "a") == files.sha256(content) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "x"), "No such file or directory"),
        (ValueError("first\nsecond"), "first"),
        (ValueError("\n first"), "first"),
        (OSError("no code"), "no code"),
        (KeyError("key"), "'key'"),
        (EOFError(), "EOFError"),
        (EOFError("  "), "EOFError"),
    ],
)
def test_a_reason_is_a_few_words_on_one_line(error, text):
    assert reason(error) == text


def test_an_error_in_a_record_has_its_type_before_it():
    assert in_words(ValueError("bad")) == "ValueError: bad"
    assert in_words(MemoryError()) == "MemoryError"
    assert in_words(BenchError("say it so")) == "say it so"
