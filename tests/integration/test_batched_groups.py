"""Which runs of a study train together, and in what order the groups go."""

from __future__ import annotations

import pytest

from bench.execution import grouping
from bench.training.state import prepare
from helpers.specs import specs_of


@pytest.mark.parametrize(
    ("n_runs", "n_jobs", "sizes"),
    [(10, 1, [10]), (10, 2, [5, 3, 2]), (10, 4, [3, 2, 2, 2, 1]), (3, 2, [2, 1]), (10, 16, [1] * 10), (1, 1, [1])],
)
def test_groups_keep_all_workers_busy(n_runs, n_jobs, sizes, monkeypatch):
    monkeypatch.setattr(grouping, "LARGEST", 10)
    specs = specs_of(["vae"], seeds=range(n_runs))
    groups = grouping.group(specs, n_jobs)
    assert [len(group) for group in groups] == sizes
    assert [spec for group in groups for spec in group] == specs


def test_a_group_is_never_larger_than_the_largest(monkeypatch):
    monkeypatch.setattr(grouping, "LARGEST", 4)
    monkeypatch.setattr(grouping, "LARGE", 4)
    assert [len(group) for group in grouping.group(specs_of(["vae"], seeds=range(10)), 1)] == [4, 4, 2]


def test_groups_are_of_one_kind_and_begin_with_the_first_seeds_of_all():
    specs = sorted(specs_of(["beta_vae[beta=1,4]", "factor_vae"], seeds=range(4)), key=lambda spec: spec.seed)
    groups = grouping.group(specs, 1)
    assert sorted(spec.run_id for group in groups for spec in group) == sorted(spec.run_id for spec in specs)
    assert [(group[0].method.name, group[0].seed, len(group)) for group in groups] == [
        ("beta_vae", 0, 8),
        ("factor_vae", 0, 4),
    ]
    assert not {spec.digest for spec in grouping.group([], 1)}
    for group in groups:
        prepare(group, (1, 32, 32), 192)


def test_the_costliest_groups_go_first_and_what_costs_nothing_last():
    """A step of FactorVAE calls twice the layers of a VAE's; the order of seeds decides between equal groups."""
    specs = sorted(
        specs_of(["vae", "beta_vae", "factor_vae"], seeds=range(10), controls=["untrained"]), key=lambda s: s.seed
    )
    groups = grouping.group(specs, 2)
    assert [(group[0].method.name, group[0].seed, len(group)) for group in groups[:5]] == [
        ("factor_vae", 0, 10),
        ("vae", 0, 10),
        ("beta_vae", 0, 5),
        ("beta_vae", 5, 3),
        ("beta_vae", 8, 2),
    ]
    assert [(group[0].method.name, group[0].seed) for group in groups[5:]] == [("untrained", s) for s in range(10)]


def test_runs_that_go_alone_take_no_share_from_groups_on_a_gpu():
    specs = [s.with_train(device="cuda") for s in specs_of(["pca", "beta_vae", "vae"], seeds=range(10))]
    for order in (specs, sorted(specs, key=lambda spec: spec.seed)):
        sizes = [len(group) for group in grouping.group(order, 1)]
        assert sorted(sizes) == [1] * 10 + [10, 10]


def test_a_costly_kind_is_divided_before_it_is_more_than_a_workers_share():
    """FactorVAE's ten runs are half the work of all thirty."""
    groups = grouping.group(specs_of(["vae", "beta_vae", "factor_vae"], seeds=range(10)), 4)
    cost = {"vae": 1, "beta_vae": 1, "factor_vae": 2}
    load = [0] * 4
    for runs in groups:
        load[load.index(min(load))] += len(runs) * cost[runs[0].method.name]
    assert sorted(load) == [10, 10, 10, 10]
    assert len(groups) < 12


def test_runs_that_go_alone_keep_their_order():
    """What is stopped after days has every method at the same seeds."""
    specs = specs_of(["vae", "factor_vae"], "train.threads=2", seeds=range(3))
    specs.sort(key=lambda spec: spec.seed)
    assert [spec for group in grouping.group(specs, 2) for spec in group] == specs


@pytest.mark.parametrize(
    ("methods", "settings", "alone"),
    [
        ("vae", [], False),
        ("factor_vae", [], False),
        ("untrained", [], True),
        ("pca", [], True),
        ("vae", ["train.threads=2"], True),
        ("vae", ["train.network=H", "dsprites.size=64"], True),
        ("vae", ["train.batch_size=128", "dsprites.size=64"], True),
        ("vae", ["train.precision=bfloat16"], False),
        ("factor_vae", ["factor_vae.discriminator_width=2000"], True),
        ("factor_vae", ["factor_vae.discriminator_width=33"], True),
        ("vae", ["train.batch_size=33"], True),
    ],
)
def test_only_small_dense_models_on_one_thread_are_batched(methods, settings, alone):
    specs = specs_of([methods], *settings, seeds=range(2))
    assert [len(group) for group in grouping.group(specs, 1)] == ([1, 1] if alone else [2])


def test_groups_are_the_larger_the_smaller_the_network():
    quick, wide = (specs_of(["vae"], f"dsprites.window={window}", preset="quick")[0] for window in ("10:22x6:26", ""))
    assert [grouping.group_limit(spec) for spec in (quick, wide)] == [grouping.LARGE, 13]
    assert grouping.group_limit(quick.with_train(batch_size=512)) == grouping.LARGEST
