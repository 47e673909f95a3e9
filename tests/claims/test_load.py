"""Files of claims: those that come with Disbench, and wrong ones.

What decides a claim that comes with Disbench is pinned by a digest in ``baselines/claims.toml``, which
``bench check --record`` writes for new claims. To change one on purpose, add a line to CHANGELOG's "Changed scores" and
run ``bench check --tier 0 --update``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bench.check.claims import FILE, compare, digests, read
from bench.claims.load import CLAIMS, load_claims, papers
from bench.claims.schema import Claim, digest
from bench.errors import BenchError
from helpers.claims import CLAIM, TEST
from helpers.paths import BASELINES, ROOT


def test_every_shipped_file_parses_and_every_margin_has_a_reason() -> None:
    shipped = load_claims()
    assert set(shipped) == set(papers()) == {path.stem for path in CLAIMS.glob("*.toml")}
    claims = [claim for paper in shipped.values() for claim in paper.claim]
    assert len({claim.id for claim in claims}) == len(claims)
    for claim in claims:
        assert claim.least_seeds >= 5
        assert all(test.why.endswith(".") and test.unit for test in claim.test), claim.id
        if claim.proof:
            file, _, test = claim.proof.partition("::")
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), claim.id
        elif not claim.needs:
            # A difference of nothing at all could only ever be undecided or reproduced by luck.
            assert all(test.bar is not None or test.margin > 0 for test in claim.test), claim.id
            command = claim.run.format(preset="quick", seeds=5, score_every=900)
            assert "--seeds 5" in command, claim.id
            assert "{" not in command, claim.id


def test_the_papers_claims_are_all_there() -> None:
    shipped = {name: [claim.id.split(".")[1] for claim in paper.claim] for name, paper in load_claims().items()}
    assert shipped["dynamicvae"] == ["C1", "C2", "C3", "C3b", *(f"C{number}" for number in range(4, 15))]
    assert shipped["li2022_two_stage"] == [f"C{number}" for number in range(1, 17)]
    optimum = ["T1", "T2a", "T2b", "T3a", "T3b", "T3c", "T3d", "T4", "T5a", "T5b"]
    assert shipped["beta_vae_inference_optimum"] == optimum


def test_what_decides_a_claim_is_pinned() -> None:
    found = compare(read(BASELINES / FILE), digests())
    assert [finding.message for finding in found if finding.status != "same"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"test": [{**TEST, "margin": 0.01}]},
        {"test": [{**TEST, "direction": "less"}]},
        {"test": [{**TEST, "measure": "sap"}]},
        {"population": {"method": "beta_vae", "hyper": {"beta": 4.0}}},
        {"against": [{"method": "factor_vae"}]},
        {"equal": {"kl": 0.2}},
        {"match": ["beta"]},
        {"rule": "any"},
        {"paired": False},
        {"least_seeds": 5},
        {"least_preset": "quick"},
        {"dataset": "dsprites"},
        {"population": {"method": "dynamic_vae", "set_point_share": {"min": 0.7}}},
        {"population": {"method": "dynamic_vae", "set_point_share": {"min": 0.8}}},
        {"population": None, "against": [], "run": "", "proof": "tests/test_toy.py::test_it"},
    ],
)
def test_a_digest_sees_everything_that_decides(changes: dict[str, Any]) -> None:
    plain, changed = (Claim.model_validate(claim) for claim in (CLAIM, {**CLAIM, **changes}))
    assert digest(plain) != digest(changed)


def test_a_digest_does_not_see_wording() -> None:
    reworded = {**CLAIM, "statement": "B is worse than A", "caveat": "!", "test": [{**TEST, "why": "said otherwise"}]}
    assert digest(Claim.model_validate(CLAIM)) == digest(Claim.model_validate(reworded))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown key 'toy.C1.colour'"),
        ({"population": {"method": "beta_vae", "seed": 1}}, "unknown key 'toy.C1.population.seed'"),
        ({"population": {"method": "bta_vae"}}, "toy.C1: unknown method 'bta_vae'"),
        ({"population": {"method": "beta_vae", "hyper": {"bta": 1}}}, "beta_vae has no 'bta'; did you mean 'beta'?"),
        ({"population": {"method": "beta_vae", "hyper": {"beta": "@bta"}}}, "beta_vae has no 'bta'"),
        ({"match": ["beta"]}, "toy.C1: vae has no 'beta'"),
        ({"test": [{**TEST, "measure": "migg"}]}, "toy.C1: unknown measure 'migg'; did you mean 'mig'?"),
        ({"population": {"method": "beta_vae", "set_point_share": {"min": 0.7}}}, "beta_vae has no 'set_point'"),
        ({"population": {"method": "beta_vae", "set_point_share": {}}}, "a range needs min, max or both"),
        ({"proof": "tests/test_toy.py::test_it"}, "what is proved is judged by no runs"),
        ({"equal": {"kll": 0.2}}, "toy.C1: unknown measure 'kll'; did you mean 'kl'?"),
        ({"dataset": "sprites"}, "toy.C1: unknown dataset 'sprites'"),
        ({"least_seeds": 4}, "toy.C1.least_seeds: Input should be greater than or equal to 5"),
        ({"test": [{**TEST, "bar": 1.0}]}, "a threshold has a bar, and nothing else has"),
        ({"test": [{**TEST, "kind": "threshold"}]}, "a threshold has a bar, and nothing else has"),
        ({"test": [{**TEST, "kind": "equivalence"}]}, "an equivalence has no direction, everything else has"),
        ({"test": [{**TEST, "kind": "noninferiority"}]}, "noninferiority with a margin of 0 can never be shown"),
        ({"test": [{**TEST, "why": ""}]}, "toy.C1.test.0.why: String should have at least 1 character"),
        ({"test": []}, "toy.C1.test: "),
        ({"against": []}, "a comparison needs against, a threshold has none"),
        ({"section": "unread"}, "section 'unread' needs a source"),
        ({"needs": "x"}, "needs without next: say what would decide it"),
        ({"next": "x"}, "next belongs to needs; run makes the command"),
        ({"paired": False, "equal": {"kl": 0.2}}, "equal and scale work by seed, so paired must be true"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    table = {"paper": "Toy", "read": "all", "claim": [{**CLAIM, **changes}]}
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(table))
    with pytest.raises(BenchError) as error:
        load_claims(folder=tmp_path)
    text = str(error.value)
    assert text.startswith(f"claims '{tmp_path / 'toy.toml'}': ")
    assert message in text
    assert "\n" not in text


def test_ids_are_unique_and_papers_known(tmp_path: Path) -> None:
    table = {"paper": "Toy", "read": "all", "claim": [CLAIM, CLAIM]}
    (tmp_path / "toy.toml").write_text(tomli_w.dumps(table))
    with pytest.raises(BenchError, match=r"claim 'toy\.C1' is there twice"):
        load_claims(folder=tmp_path)
    with pytest.raises(BenchError, match=r"no claims of paper 'dynamicva'; did you mean 'dynamicvae'\?"):
        load_claims(["dynamicva"])
    (tmp_path / "toy.toml").write_text("paper = ")
    with pytest.raises(BenchError, match=r"toy\.toml' can't be read: "):
        load_claims(folder=tmp_path)
