"""Tables factor by factor."""

from __future__ import annotations

import numpy as np

from bench.results.per_factor import markdown, tables
from bench.results.study import read_study


def details(informativeness, mig):
    return {
        "dci": {"informativeness_per_factor": informativeness, "chance_per_factor": [0.25, 0.5, None]},
        "mig": {"mig_per_factor": mig},
    }


def cells(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line]
    return {row[0]: row[1:] for row in rows}


def test_means_over_seeds_with_intervals_and_chance_below_informativeness(study_builder):
    builder = study_builder()
    values = np.linspace(0.5, 0.7, 6)
    for seed, value in enumerate(values):
        found = {"details": details([value, 0.9, None], [0.1, value, None]), "factor_names": ["shape", "size", "still"]}
        builder.run("beta_vae", seed, {"mig": 0.3, "dci_informativeness": 0.7}, result=found)
    study = read_study(builder.study())
    first, second = markdown(tables(study, "dsprites")).split("\n\n")
    table = cells(first)
    assert table["DCI-I (hist_gbt)"] == ["shape", "size", "still"]
    mean, low, high = (float(x.strip("[],")) for x in table["β-VAE"][0].split())
    assert abs(mean - values.mean()) < 1e-3
    assert values.min() < low < mean < high < values.max()
    assert table["β-VAE"][1:] == ["0.900 [0.900, 0.900]", "n/a"]
    assert table["chance"] == ["0.250", "0.500", "n/a"]
    assert cells(second)["β-VAE"][2] == "n/a"
    assert "chance" not in cells(second)


def test_diverged_runs_have_no_part_and_no_run_means_no_table(study_builder):
    builder = study_builder()
    builder.run("vae", 0, {"mig": 0.1}, result={"details": details([0.2, 0.2, 0.2], [0.1, 0.1, 0.1])})
    builder.run("vae", 1, {}, status="diverged", result={"details": details([0.9, 0.9, 0.9], [0.9, 0.9, 0.9])})
    text = markdown(tables(read_study(builder.study()), "dsprites"))
    assert "0.200 | 0.200 | 0.200" in text
    assert "factor 0" in text
    other = study_builder("other")
    other.run("vae", 0, {"kl": 1.0})
    assert markdown(tables(read_study(other.study()), "dsprites")) == ""
