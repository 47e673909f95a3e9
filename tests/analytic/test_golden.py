"""Reference values of the linear-Gaussian β-VAE."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from bench.analytic import learned, measures, oracle
from bench.analytic.cases import case, pair
from bench.analytic.vae import learned_vae, matched, oracle_vae

BETAS = [0.25, 0.5, 1, 2, 3, 5, 10, 30]
#: Rows: E log q, reverse KL, squared error, rate, TC of the aggregate, MIG of the means; full: E log q, TC given x;
#: L1: E log q, squared error, rate. Columns: BETAS.
GOLDEN = {
    "S1": [
        [-7.58790, -3.13325, -1.56279, -1.33612, -1.45753, -1.68772, -2.00357, -2.40306],
        [1.08665, 0.59338, 0.37637, 0.68857, 1.22491, 2.34250, 4.66397, 9.62260],
        [0.23082, 0.20666, 0.19298, 0.21500, 0.25061, 0.31615, 0.42942, 0.63965],
        [3.84397, 3.07178, 2.29582, 1.57343, 1.20486, 0.81642, 0.43209, 0.11483],
        [0.00246, 0.00018, 0.01237, 0.04951, 0.07046, 0.07150, 0.03697, 0.00373],
        [0.79087, 0.80640, 0.81022, 0.76303, 0.69855, 0.59013, 0.44321, 0.29389],
    ],
    "full": [
        [-2.40682, -1.11419, -0.81635, -0.99001, -1.19046, -1.47928, -1.86762, -2.35915],
        [0.46973, 0.43434, 0.37637, 0.29389, 0.23797, 0.16735, 0.08718, 0.02041],
    ],
    "L1": [
        [-8.08518, -3.68631, -1.84404, -1.29476, -1.31664, -1.65642, -2.07037, -2.83788],
        [0.20929, 0.20641, 0.20234, 0.20246, 0.21804, 0.36978, 0.57860, 1.00000],
        [3.84956, 3.15641, 2.46326, 1.77012, 1.36465, 0.85383, 0.46785, 0.0],
    ],
}
#: Best β of two unit columns: rows are cosines .4 .6 .8 .9, columns G_ii = .3 1 3 10 30 100 1000 1e4, then the limit.
PHASES = [
    [1.005, 1.028, 1.074, 1.130, 1.165, 1.182, 1.190, 1.190, 1.190],
    [1.013, 1.071, 1.180, 1.322, 1.436, 1.513, 1.557, 1.562, 1.563],
    [1.027, 1.161, 1.421, 1.716, 1.983, 2.309, 2.696, 2.769, 2.778],
    [1.038, 1.258, 1.800, 2.575, 2.763, 3.083, 4.426, 5.136, 5.263],
]


@pytest.mark.parametrize(
    ("name", "beta", "evidence"),
    [
        ("S0", 1.0, -0.43998179),
        ("S1", 1.71623911543, -0.81635143),
        ("S2", 1.63249231845, -0.35839163),
        ("L0", 1.0, -0.25863686),
        ("L1", 2.33555439, -0.37461267),
    ],
)
def test_best_beta_and_posterior_entropy_of_the_reference_cases(name, beta, evidence):
    given = case(name)
    found = oracle.beta_star(given.model) if given.decoder == "oracle" else learned.beta_star(given.model)
    assert found == pytest.approx(beta, abs=6e-12 if given.decoder == "oracle" else 6e-9)
    assert -given.model.posterior_entropy == pytest.approx(evidence, abs=6e-9)


def test_golden_table_from_the_closed_forms_and_from_the_matrices():
    s1, l1 = case("S1").model, case("L1").model
    closed = [oracle.log_q, oracle.reverse_kl, oracle.mean_squared_error, oracle.rate]
    for function, row in zip(closed, GOLDEN["S1"], strict=False):
        np.testing.assert_allclose(function(s1, BETAS), row, atol=6e-6)
    exact = [measures.log_q, measures.reverse_kl, measures.mean_squared_error, measures.rate]
    for function, row in zip([*exact, measures.aggregate_tc, measures.mig], GOLDEN["S1"], strict=True):
        np.testing.assert_allclose([function(s1, oracle_vae(s1, beta)) for beta in BETAS], row, atol=6e-6)
    full = [oracle_vae(s1, beta, "full") for beta in BETAS]
    np.testing.assert_allclose(oracle.log_q(s1, BETAS, "full"), GOLDEN["full"][0], atol=6e-6)
    np.testing.assert_allclose([measures.log_q(s1, vae) for vae in full], GOLDEN["full"][0], atol=6e-6)
    np.testing.assert_allclose([measures.conditional_tc(vae) for vae in full], GOLDEN["full"][1], atol=6e-6)
    closed = [learned.log_q, learned.mean_squared_error, learned.rate]
    exact = [measures.log_q, measures.mean_squared_error, measures.rate]
    for by_beta, by_matrix, row in zip(closed, exact, GOLDEN["L1"], strict=True):
        np.testing.assert_allclose(by_beta(l1, BETAS), row, atol=6e-6)
        np.testing.assert_allclose([by_matrix(l1, matched(l1, learned_vae(l1, b))) for b in BETAS], row, atol=6e-6)


def test_golden_numbers_of_s1():
    s1 = case("S1").model
    best = oracle.beta_star(s1)
    np.testing.assert_allclose(s1.snr_values, [18, 2])
    np.testing.assert_allclose(np.diag(s1.posterior_covariance), 0.192982, atol=6e-7)
    assert oracle.log_q_slope(s1, 1.0) == pytest.approx(1.02073, abs=6e-6)
    assert oracle.beta_star_high_snr(s1) == pytest.approx(1 / (1 - 0.8**2))
    assert oracle.forward_kl_floor(s1) == pytest.approx(0.37637, abs=6e-6)
    assert oracle.rate(s1, best) == pytest.approx(1.72445, abs=6e-6)
    assert oracle.log_q(s1, best) == pytest.approx(-1.323263, abs=1e-6)
    np.testing.assert_allclose(oracle.forward_kl(s1, [1.0, best]), [0.746, 0.507], atol=6e-4)
    np.testing.assert_allclose(measures.calibration(s1, oracle_vae(s1, best)), 1.41, atol=6e-3)


def test_golden_numbers_of_l1():
    l1 = case("L1").model
    best = learned.beta_star(l1)
    np.testing.assert_allclose(l1.snr_values, [24.49004, 4.40996], atol=6e-6)
    np.testing.assert_allclose(np.degrees(learned.angles(l1, best)), 18.349, atol=6e-4)
    np.testing.assert_allclose(learned.collapse_betas(l1), [25.490, 5.410], atol=6e-4)
    np.testing.assert_allclose(learned.beta_star_per_latent(l1, best), [3.42710, 1.43705], atol=6e-6)
    assert learned.beta_star(l1, "mean_squared_error") == pytest.approx(1.50514, abs=6e-6)
    assert learned.rate(l1, best) == pytest.approx(1.61502, abs=6e-6)
    assert learned.log_q(l1, best) == pytest.approx(-1.279321, abs=6e-7)


@pytest.mark.parametrize(("cosine", "row"), list(zip([0.4, 0.6, 0.8, 0.9], PHASES, strict=True)))
def test_best_beta_by_cosine_and_snr(cosine, row):
    found = [oracle.beta_star(pair(cosine, snr)) for snr in (0.3, 1, 3, 10, 30, 100, 1000, 1e4)]
    np.testing.assert_allclose([*found, oracle.beta_star_high_snr(pair(cosine, 10))], row, atol=6e-4)


def test_the_best_beta_depends_on_the_measure():
    s1 = case("S1").model

    def best(measure, family="diagonal"):
        def loss(log_beta):
            return -measure(s1, oracle_vae(s1, float(np.exp(log_beta)), family))

        return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9}).x))

    assert best(measures.mig) == pytest.approx(0.803, abs=6e-4)
    assert best(measures.sap) == pytest.approx(0.443, abs=6e-4)
    assert best(lambda *given: -measures.aggregate_tc(*given)) == pytest.approx(0.443, abs=6e-4)
    for measure in (measures.mean_squared_error, measures.reverse_kl):
        assert best(lambda *given, f=measure: -f(*given)) == pytest.approx(1, abs=1e-5)
    assert best(lambda *given: measures.dci(*given)[0]) == pytest.approx(1, abs=1e-5)
    assert best(measures.log_q, "full") == pytest.approx(1, abs=1e-5)
    sampled = [measures.mig(s1, oracle_vae(s1, beta), sampled=True) for beta in (0.01, 0.1, 0.5, 1, 3, 30)]
    assert (np.diff(sampled) < 0).all(), "noise only takes from it"
