"""``bench check``: what it says, what it stores, what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.check import environment, formulas, losses, papers, repeat, trajectories
from bench.check.baselines import Measured, baseline_folder, entry, read
from bench.check.compare import compare, moved_by
from bench.check.finding import Finding
from bench.check.render import as_json, junit, markdown, text
from bench.check.renew import changelog, renew
from bench.check.request import Request
from bench.dataset import resolve_options
from bench.errors import BenchError
from bench.registry import METHODS, METRICS

LOG = """# Changelog

## [Unreleased]

### Changed scores

- `toy` from version 1 to 2: sums over latents
  instead of averaging.

### Fixed

- `other`, version 2.

## [0.1.0]

### Changed scores

- `old`, version 2.
"""


def toy(value=1.0, version=1, bound=1e-3, name="toy", **rest) -> Measured:
    subject = f"method {name}"
    numbers = {"kl": {"step 1": value, "step 2": 2.0}}
    return Measured(subject, {subject: version}, numbers, {"kl": bound}, **rest)


def statuses(measured, known, environment=""):
    return [finding.status for finding in compare(0, measured, known, environment)]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (1.0, 1.0, "same"),
        (1.0, 1.0009, "within"),
        (1.0, 1.0011, "moved"),
        (50.0, 50.04, "within"),
        (50.0, 49.9, "moved"),
    ],
)
def test_bounds_are_absolute_below_1_and_relative_above(old, new, status):
    assert statuses(toy(new), entry(toy(old))) == [status]


@pytest.mark.parametrize(("old", "new"), [(1.0, None), (None, 1.0), (1.0, float("nan")), (1.0, float("inf"))])
def test_a_number_that_comes_or_goes_has_moved(old, new):
    assert statuses(toy(new), entry(toy(old))) == ["moved"]


def test_what_isnt_computed_any_more_is_missing_and_what_is_new_is_new():
    known = entry(toy())
    assert statuses(replace(toy(), numbers={}), known) == ["missing"]
    assert statuses(replace(toy(), numbers={"kl": {"step 1": 1.0}}), known) == ["missing"]
    more = {"kl": {"step 1": 1.0, "step 2": 2.0, "step 3": 3.0}, "beta": {"step 1": 1.0}}
    assert statuses(replace(toy(), numbers=more), known) == ["new", "new"]
    assert statuses(toy(), None) == ["new"]


def test_digests_count_in_their_environment_only():
    known = entry(toy(digests={"weights": "aa"}), None, "here")
    other = toy(digests={"weights": "bb"})
    assert statuses(other, known, "here") == ["same", "moved"]
    assert statuses(other, known, "elsewhere") == ["same"]


def test_a_number_of_a_new_version_asks_to_be_stored_anew():
    (finding, _) = compare(0, toy(version=2), entry(toy()))
    assert finding.status == "moved"
    assert "method toy is at version 2, the stored numbers are of 1; bench check --update" in finding.message


def test_the_sentence_gives_amount_direction_and_release():
    (finding,) = compare(0, toy(0.9), entry(toy(1.2, version=1)))
    assert finding.message.startswith(
        "method toy: kl of step 1 fell by 0.3 (25.00 %), from 1.2 to 0.9, since version 1"
    )
    assert (finding.expected, finding.got, finding.version) == (1.2, 0.9, 1)
    assert moved_by(0.0, 0.5) == "rose by 0.5, from 0 to 0.5"


def file_with(folder, measured, log=LOG):
    stored = read(folder / "baselines" / "toy.json")
    if log:
        (folder / "CHANGELOG.md").write_text(log)
    renew(0, stored, [measured], "record")
    return read(stored.path)


def test_record_stores_what_is_new_and_leaves_what_moved(tmp_path):
    stored = file_with(tmp_path, toy())
    before = stored.path.read_bytes()
    assert renew(0, stored, [toy(1.0005)], "record") == []
    renew(0, stored, [toy(5.0)], "record")
    assert stored.path.read_bytes() == before
    (finding,) = renew(0, stored, [toy(5.0), toy(name="second")], "record")
    assert finding.subject == "method second"
    assert read(stored.path).subjects["method toy"]["numbers"]["kl"]["step 1"] == 1.0


def test_record_adds_this_environments_digests(tmp_path):
    stored = file_with(tmp_path, toy())
    for key, digest in (("one", "aa"), ("two", "bb")):
        renew(0, stored, [toy(1.0001, digests={"weights": digest})], "record", environment=key)
    known = read(stored.path).subjects["method toy"]
    assert known["digests"] == {"one": {"weights": "aa"}, "two": {"weights": "bb"}}
    assert known["numbers"]["kl"]["step 1"] == 1.0


def test_update_asks_for_a_new_version(tmp_path):
    stored = file_with(tmp_path, toy())
    with pytest.raises(BenchError, match="raise the version of method toy"):
        renew(0, stored, [toy(5.0)], "update")
    assert read(stored.path).subjects["method toy"]["numbers"]["kl"]["step 1"] == 1.0
    renew(0, stored, [toy(5.0, version=2)], "update")
    known = read(stored.path).subjects["method toy"]
    assert (known["numbers"]["kl"]["step 1"], known["versions"]) == (5.0, {"method toy": 2})


def test_a_new_version_with_the_old_numbers_keeps_them_and_every_digest(tmp_path):
    stored = file_with(tmp_path, toy(digests={"weights": "aa"}))
    before = stored.subjects["method toy"]
    renew(0, stored, [toy(1.0001, version=3, digests={"weights": "bb"})], "update", environment="other")
    known = read(stored.path).subjects["method toy"]
    assert known["versions"] == {"method toy": 3}
    assert known["numbers"] == before["numbers"]
    assert known["digests"] == {**before["digests"], "other": {"weights": "bb"}}


@pytest.mark.parametrize(("name", "version"), [("toy", 3), ("other", 2), ("old", 2), ("toys", 2)])
def test_update_asks_for_a_line_under_changed_scores_of_the_next_release(tmp_path, name, version):
    stored = file_with(tmp_path, toy(name=name))
    with pytest.raises(BenchError, match=f"no line under 'Changed scores' that names '{name}' and version {version}"):
        renew(0, stored, [toy(5.0, version, name=name)], "update")


def test_without_a_changelog_the_new_version_suffices(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    stored = file_with(tmp_path, toy(name="other"), log="")
    assert changelog(stored.path.parent) is None
    renew(0, stored, [toy(5.0, 2, name="other")], "update")
    assert read(stored.path).subjects["method other"]["numbers"]["kl"]["step 1"] == 5.0


def test_update_of_what_isnt_registered_any_more_asks_for_a_line(tmp_path):
    stored = file_with(tmp_path, toy(name="gone"))
    with pytest.raises(BenchError, match="method gone is gone"):
        renew(0, stored, [], "update", gone=["method gone"])
    stored = file_with(tmp_path / "second", toy()) if (tmp_path / "second").mkdir() is None else stored
    renew(0, stored, [], "update", gone=["method toy"])
    assert read(stored.path).subjects == {}


def test_the_projects_own_changelog_is_read():
    assert changelog(baseline_folder()) is not None


FINDINGS = [
    Finding(0, "metric mig", "mig of 'mixed'", "moved", "metric mig: a | b fell", 0.5, 0.4, 1e-9, 1),
    Finding(0, "metric sap", "sap of 'mixed'", "same", "as stored", 0.5, 0.5, 1e-9, 1),
    Finding(1, "method new", "all", "new", "nothing is stored yet"),
    Finding(3, "method vae", "VAE, MIG, 5 seeds of study", "outside", "ours 0.2", 0.1, 0.25, 0.01),
]


def test_all_renderings_say_the_same():
    lines = text(FINDINGS).splitlines()
    assert lines[0] == "moved: metric mig: a | b fell"
    assert "| VAE, MIG, 5 seeds of study | 0.250 | 0.1 ± 0.01 | no |" in lines
    assert lines[-1] == "Regression: 1 finding in metric mig."
    assert json.loads(as_json(FINDINGS))["regression"] is True
    root = ElementTree.fromstring(junit(FINDINGS))  # noqa: S314  (our own)
    assert [(s.get("tests"), s.get("failures"), s.get("skipped")) for s in root] == [
        ("2", "1", "0"),
        ("1", "0", "1"),
        ("1", "0", "1"),
    ]
    assert "| 0 | moved | metric mig: a \\| b fell |" in markdown(FINDINGS)
    assert text(FINDINGS[1:]).splitlines()[-1] == "No regression."


def test_every_built_in_is_stored():
    own = {
        kind: [e.name for e in registry if ".methods." in e.value.__module__ or ".metrics." in e.value.__module__]
        for kind, registry in (("method", METHODS), ("metric", METRICS))
    }
    for file, kind in ((formulas.FILE, "metric"), (losses.FILE, "method"), (trajectories.FILE, "method")):
        known = read(baseline_folder() / file).subjects
        assert {f"{kind} {name}" for name in own[kind]} <= set(known), f"bench check --record ({file})"


def test_objectives_and_controllers_are_the_stored_ones():
    found = losses.check(Request(baselines=baseline_folder()))
    lines = [finding.message for finding in found if finding.status not in ("same", "within")]
    assert not lines, "\n".join(lines)


def test_trajectories_are_the_stored_ones():
    """Some of them; ``bench check`` looks at all."""
    found = trajectories.check(Request(baselines=baseline_folder(), methods=("dynamic_vae", "factor_vae", "two_stage")))
    lines = [finding.message for finding in found if finding.status not in ("same", "within")]
    assert not lines, "\n".join(lines)


def test_other_threads_and_kernels_move_digits_within_the_bounds_and_nothing_beyond():
    """In a process of its own, as the bounds are measured: kernels are chosen when torch is loaded."""
    variables = {"OMP_WAIT_POLICY": "passive", "ATEN_CPU_CAPABILITY": "default"}
    again = repeat.elsewhere(["method dynamic_vae"], {"threads": 2}, variables)["method dynamic_vae"]
    known = read(baseline_folder() / trajectories.FILE).subjects["method dynamic_vae"]
    far = repeat.distances(known["numbers"], again)
    assert far["reconstruction"] > 1e-10
    assert all(far[column] < bound for column, bound in known["bounds"].items())


def test_an_environments_key_knows_threads_and_kernels(monkeypatch):
    here = environment.facts(1)
    assert environment.key(here) == environment.key(environment.facts(1))
    assert environment.key(here) != environment.key(environment.facts(2))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert environment.key(here) != environment.key(environment.facts(1))


def test_published_values_are_a_table_and_never_a_failure(study_builder):
    builder = study_builder()
    full = {"name": "dsprites", "version": 1, "options": resolve_options("dsprites", {}), "sha256": "ab" * 32}
    for seed, value in enumerate((0.10, 0.20, 0.31)):
        hyper = {"gamma": 10.0, "discriminator_lr": 1e-4}
        builder.run("factor_vae", seed, {"mig": value, "sap": 0.57}, hyper=hyper, dataset=full)
    folder = builder.study()
    request = Request(baselines=baseline_folder(), results=folder.parent)
    found = {finding.quantity.split(",")[1]: finding for finding in papers.check(request)}
    assert {finding.status for finding in found.values()} == {"within", "outside"}
    assert "| FactorVAE (gamma=10), " in text(list(found.values()))
    assert "No regression." in text(list(found.values()))
    (finding,) = papers.check(replace(request, results=folder))
    assert finding.status == "skipped"


@pytest.fixture
def own_baselines(tmp_path):
    folder = tmp_path / "stored"
    folder.mkdir()
    shutil.copy(baseline_folder() / formulas.FILE, folder)
    return folder


def test_the_command_exits_with_3_on_a_regression_only(bench, own_baselines):
    words = ("check", "--tier", "0", "--metric", "mig", "--baselines", str(own_baselines))
    code, out, err = bench(*words)
    assert (code, out.splitlines()[-1]) == (0, "No regression.")
    assert "tier 0: metric mig" in err
    file = own_baselines / formulas.FILE
    content = json.loads(file.read_text())
    content["subjects"]["metric mig"]["numbers"]["mig"]["'mixed'"] += 0.01
    file.write_text(json.dumps(content))
    code, out, err = bench(*words, "-q", "--junit", "report.xml", "--markdown", "report.md", "--json")
    assert (code, err) == (3, "")
    (moved,) = [finding for finding in json.loads(out)["findings"] if finding["status"] == "moved"]
    assert moved["message"].startswith("metric mig: mig of 'mixed' fell by 0.01 (")
    assert ElementTree.parse("report.xml").find(".//failure") is not None  # noqa: S314
    code, _, err = bench(*words, "-q", "--update")
    assert code == 2
    assert "raise the version of metric mig" in err


PLUGIN = '''
"""A method."""
from bench.method import Method, Objective, register_method

@register_method("mine", version={version})
class Mine(Method):
    """Mine: min R + {beta} KL. Source: ours."""

    def loss(self, terms, state, step):
        """Weighted."""
        return Objective(loss=terms.reconstruction + {beta} * terms.kl, beta=self.full({beta}))
'''


def test_a_users_method_is_guarded_by_his_own_baselines(bench, tmp_path):
    words = ("check", "--tier", "0", "-m", "mine", "--baselines", "mine", "-q", "--plugin")
    for name, version, beta in (("first", 1, 2.0), ("second", 1, 2.5), ("third", 2, 2.5)):
        (tmp_path / f"{name}.py").write_text(PLUGIN.format(version=version, beta=beta))

    def call(plugin, *more):
        with METHODS.override():
            answer = bench(*words, f"{plugin}.py", *more)
        # Or other processes that draw for a later test would load it, and with it "mine" twice.
        sys.modules.pop(f"disbench_plugin_{plugin}", None)
        return answer

    assert call("first")[0] == 2
    assert call("first", "--record")[0] == 0
    assert call("first")[:2] == (0, "tier 0, formulas: 14 same\nNo regression.\n")
    code, out, _ = call("second")
    assert code == 3
    assert "method mine: beta of step 1 rose by 0.5 (25.00 %), from 2 to 2.5, since version 1" in out
    assert call("second", "--update")[0] == 2
    assert call("third")[0] == 3
    assert call("third", "--update")[0] == 0
    assert call("third")[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--tier", "4"), "--tier 4: tiers are 0, 1, 2 and 3"),
        (("--tier", "x"), "--tier x: tiers are 0, 1, 2 and 3"),
        (("--record", "--update"), "exclude each other"),
        (("--baselines", "nowhere"), "no such folder"),
        (("-m", "beta_vea"), "did you mean 'beta_vae'?"),
    ],
)
def test_usage_errors_are_one_line(bench, words, says):
    code, _, err = bench("check", *words)
    assert code == 2
    assert says in err
