"""Statistics over seeds: intervals, comparisons, tests, ranks, verdicts and what the seeds could have seen.

Every function that draws takes its generator. Callers pass a stream of `bench.seeds.stream` that is named by what is
resampled, configuration, score and seeds (`bench.results.summary.resampling`): the same runs get the same interval in
every study and report, and adding a column or a method never shifts anybody else's. Values and results are float64;
with fewer than `MIN_SEEDS` seeds nothing is compared.

From outside: what this package imports here.
"""

from bench.stats.budget import expected_best, selection_weights
from bench.stats.correlation import SpearmanMatrix, spearman, spearman_matrix
from bench.stats.front_differences import Above, area_difference, difference_at, probability_above
from bench.stats.fronts import (
    Front,
    FrontBand,
    common_range,
    front_band,
    front_direction,
    front_through,
    front_values,
    matched_points,
    values_at,
)
from bench.stats.intervals import (
    MIN_SEEDS,
    N_RESAMPLES,
    STATISTICS,
    TOO_FEW,
    Interval,
    Statistic,
    bootstrap_interval,
    iqm,
)
from bench.stats.mean_ranks import MeanRanks, mean_ranks
from bench.stats.paired import (
    Comparison,
    compare_paired,
    compare_unpaired,
    differences,
    paired_difference,
    small_sample_correction,
)
from bench.stats.power import Detectable, detectable_line, smallest_detectable
from bench.stats.ranks import RankStability, probability_of_improvement, rank_stability
from bench.stats.summaries import Summary, stands_above, summary
from bench.stats.tests import Permutation, holm, mann_whitney, paired_p, permutation_paired, permutation_unpaired
from bench.stats.verdicts import BestGroup, Claim, Direction, Verdict, best_group, verdict, verdict_line

__all__ = [
    "MIN_SEEDS",
    "N_RESAMPLES",
    "STATISTICS",
    "TOO_FEW",
    "Above",
    "BestGroup",
    "Claim",
    "Comparison",
    "Detectable",
    "Direction",
    "Front",
    "FrontBand",
    "Interval",
    "MeanRanks",
    "Permutation",
    "RankStability",
    "SpearmanMatrix",
    "Statistic",
    "Summary",
    "Verdict",
    "area_difference",
    "best_group",
    "bootstrap_interval",
    "common_range",
    "compare_paired",
    "compare_unpaired",
    "detectable_line",
    "difference_at",
    "differences",
    "expected_best",
    "front_band",
    "front_direction",
    "front_through",
    "front_values",
    "holm",
    "iqm",
    "mann_whitney",
    "matched_points",
    "mean_ranks",
    "paired_difference",
    "paired_p",
    "permutation_paired",
    "permutation_unpaired",
    "probability_above",
    "probability_of_improvement",
    "rank_stability",
    "selection_weights",
    "small_sample_correction",
    "smallest_detectable",
    "spearman",
    "spearman_matrix",
    "stands_above",
    "summary",
    "values_at",
    "verdict",
    "verdict_line",
]
