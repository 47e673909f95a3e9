"""Presets are files that say themselves what they are."""

from __future__ import annotations

import shutil

import pytest

from bench.claims.schema import Claim
from bench.config import preset_files
from bench.config.study import resolve
from bench.errors import BenchError
from helpers.claims import CLAIM


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The presets, with room for one more."""
    copy = shutil.copytree(preset_files.PRESETS, tmp_path / "presets")
    monkeypatch.setattr(preset_files, "PRESETS", copy)
    preset_files.rank.cache_clear()
    yield copy
    preset_files.rank.cache_clear()


def test_ranks_are_in_the_files():
    ranks = {"smoke": 0, "li2022": 1, "li2022_sampled": 1, "quick": 1, "compact": 2, "standard": 3, "paper": 4}
    assert {name: preset_files.rank(name) for name in ranks} == ranks
    assert [name for name in preset_files.by_rank() if name in ranks] == list(ranks)


def test_a_new_file_is_a_preset_that_claims_can_count_from(folder):
    text = (folder / "quick.toml").read_text(encoding="utf-8")
    (folder / "middling.toml").write_text(text.replace("rank = 1", "rank = 2"), encoding="utf-8")
    found = preset_files.by_rank()
    assert found.index("quick") < found.index("compact") < found.index("middling") < found.index("standard")
    assert resolve("middling").train == resolve("quick").train
    assert Claim.model_validate({**CLAIM, "least_preset": "middling"}).least_preset == "middling"


@pytest.mark.parametrize("name", ["smoke", "quik"])
def test_no_claim_counts_from_a_preset_without_meaning(name):
    with pytest.raises(ValueError, match=f"no claim counts from preset '{name}': it is one of li2022, .*, or none"):
        Claim.model_validate({**CLAIM, "least_preset": name})


def test_a_preset_without_a_rank_is_the_smallest_and_a_wrong_one_is_refused(folder):
    file = folder / "quick.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("rank = 1\n", ""), encoding="utf-8")
    assert preset_files.rank("quick") == 0
    preset_files.rank.cache_clear()
    file.write_text(text.replace("rank = 1\n", 'rank = "low"\n'), encoding="utf-8")
    with pytest.raises(BenchError, match="preset 'quick': rank is 'low', not a whole number from 0 up"):
        preset_files.rank("quick")
