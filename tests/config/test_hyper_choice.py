"""The option ``--hyper`` under its former name ``--terms``, and as stored studies have it."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w

from bench.config.expand import expand
from bench.config.hyper_choice import hyper_choice
from bench.config.study import StudySpec, resolve
from bench.errors import BenchError

VAE = {"methods": ["vae"], "datasets": ["dsprites[size=64]"]}
FORMER = [("equal", "shared"), ("as_published", "published")]


def ids(spec: StudySpec) -> list[str]:
    return [each.run_id for each in expand(spec)]


@pytest.mark.parametrize(("former", "current"), FORMER)
def test_the_former_name_means_the_same(former, current, tmp_path):
    now = resolve("smoke", **VAE, hyper=current)
    assert resolve("smoke", **VAE, terms=former) == resolve("smoke", **VAE, hyper=former) == now
    for line in (f'terms = "{former}"', f'hyper = "{current}"', f'[at.smoke]\nterms = "{former}"'):
        file = tmp_path / "study.toml"
        file.write_text(f'preset = "smoke"\n{line}\n')
        spec = resolve(study_file=file, **VAE)
        assert spec.hyper == current
        assert ids(spec) == ids(now)


@pytest.mark.parametrize(("former", "current"), FORMER)
def test_a_study_is_stored_under_the_former_name(former, current, tmp_path):
    stored = resolve("smoke", **VAE, hyper=current).model_dump(mode="json")
    assert "hyper" not in stored
    assert list(stored).index("terms") == list(stored).index("datasets") + 1
    assert stored["terms"] == former
    assert hyper_choice(stored) == current
    file = tmp_path / "study.toml"
    file.write_text(tomli_w.dumps(stored))
    again = resolve(study_file=file)
    assert again.hyper == current
    assert again.model_dump(mode="json")["terms"] == tomllib.loads(file.read_text())["terms"]


def test_a_study_that_says_nothing_shares():
    assert hyper_choice({}) == "shared"


def test_both_names_at_once_are_refused(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('terms = "equal"\nhyper = "shared"\n')
    with pytest.raises(BenchError, match=r"sets both hyper and terms, its former name; keep hyper"):
        resolve(study_file=file)


def test_another_value_is_refused_with_what_there_is():
    with pytest.raises(BenchError, match="hyper='own': Input should be 'shared', 'published' or 'tuned'"):
        resolve("smoke", hyper="own")
