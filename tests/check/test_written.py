"""What `bench check --record` writes beside numbers: texts that follow from the registry, and claims' digests."""

from __future__ import annotations

import tomllib

import pytest

import bench.metrics
from bench.check import claims, written
from bench.check.baselines import baseline_folder
from bench.check.request import Request
from bench.errors import BenchError
from bench.registry import METRICS, is_plugin

EVERYTHING = Request(baselines=baseline_folder())


def test_the_committed_texts_say_what_is_registered():
    found = written.check(EVERYTHING)
    assert len(found) == len(written.texts())
    assert [finding.message for finding in found if finding.status != "same"] == []


def test_every_metric_can_be_imported_by_its_name_alone():
    own = {entry.name: entry.value for entry in METRICS if not is_plugin(entry.value)}
    assert {name: getattr(bench.metrics, name) for name in own} == own
    assert set(bench.metrics.__all__) == {*own, "udr"}


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A repository of the three files, two of them stale and one not there yet."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "bench" / "metrics").mkdir(parents=True)
    for page in ("metrics.md", "datasets.md"):
        (tmp_path / "docs" / page).write_text(f"before\n{written.BEGIN}old\n{written.END}after\n")
    monkeypatch.setattr(written, "_root", lambda: tmp_path)
    return tmp_path


def test_record_writes_what_is_stale(copy):
    stale = written.check(EVERYTHING)
    assert [finding.status for finding in stale] == ["moved"] * 3
    assert "bench check --record writes it" in stale[0].message
    assert [finding.status for finding in written.check(Request(EVERYTHING.baselines, "record"))] == ["new"] * 3
    assert [finding.status for finding in written.check(EVERYTHING)] == ["same"] * 3
    page = (copy / "docs" / "metrics.md").read_text()
    assert page == f"before\n{written.BEGIN}{written.table()}\n{written.END}after\n"


def test_texts_are_of_everything_in_a_checkout(copy):
    assert written.check(Request(EVERYTHING.baselines, metrics=("mig",))) == []
    assert written.check(Request(copy)) == []


def test_a_page_without_a_place_is_an_error():
    with pytest.raises(BenchError, match=r"page\.md has 0 places for the table"):
        written.with_table("nothing", "table", "page.md")


NOW = {"a.C1": "1", "a.C2": "2"}


class TestClaims:
    def statuses(self, found):
        return {finding.subject: finding.status for finding in found}

    def test_a_new_claim_is_recorded(self, tmp_path):
        file = tmp_path / claims.FILE
        assert self.statuses(claims.compare({"a.C1": "1"}, NOW)) == {"claim a.C1": "same", "claim a.C2": "new"}
        claims.renew(file, NOW, "record")
        assert tomllib.loads(file.read_text()) == {"digests": NOW}
        assert self.statuses(claims.renew(file, NOW, "record")) == {"claim a.C1": "same", "claim a.C2": "same"}

    def test_record_leaves_what_moved_and_what_is_gone(self, tmp_path):
        file = tmp_path / claims.FILE
        claims.renew(file, NOW, "record")
        found = claims.renew(file, {"a.C1": "other"}, "record")
        assert self.statuses(found) == {"claim a.C1": "moved", "claim a.C2": "missing"}
        assert claims.read(file) == NOW

    def test_update_asks_for_a_line_that_names_the_claim(self, tmp_path):
        file, log = tmp_path / claims.FILE, tmp_path / "CHANGELOG.md"
        claims.renew(file, NOW, "record")
        log.write_text("## [Unreleased]\n\n### Changed scores\n\n- Claim a.C1 asks for more.\n")
        changed = {"a.C1": "other"}
        with pytest.raises(BenchError, match=r"no line under 'Changed scores' that names 'a\.C2'$"):
            claims.renew(file, changed, "update")
        assert claims.read(file) == NOW
        log.write_text(log.read_text() + "- Claim a.C2 is gone.\n")
        claims.renew(file, changed, "update")
        assert claims.read(file) == changed
