from __future__ import annotations

from functools import partial
from itertools import permutations, product

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize, minimize_scalar

from bench.analytic import control, learned, measures, oracle
from bench.analytic.cases import CASES, case, pair
from bench.analytic.model import LinearGaussian
from bench.analytic.vae import LinearVAE, calibrated, learned_vae, matched, optimal_encoder, oracle_vae

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


def design(seed, *, equal_norms=False, assumed=True):
    """Model with random sizes, mixing and noise; now and then with fewer data dimensions than factors."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 6))
    mixing = rng.normal(size=(k + int(rng.integers(0 if equal_norms else -1, 4)), k))
    if equal_norms:
        mixing /= np.linalg.norm(mixing, axis=0)
    noise = float(np.exp(rng.uniform(-5, 2)))
    return LinearGaussian(mixing, noise, noise * float(np.exp(rng.normal())) if assumed else None)


def ratio(model):
    return model.noise_variance / model.decoder_variance


def rotation(size, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


# Reference values


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


# The closed forms against the matrices, over random designs


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_closed_forms_with_the_true_decoder_are_those_of_the_matrices(seed, family):
    model = design(seed)
    betas = np.exp(np.random.default_rng(seed).uniform(-3, 4, size=(2, 3)))
    vaes = [oracle_vae(model, beta, family) for beta in betas.flat]
    for name in ("log_q", "reverse_kl", "forward_kl", "rate"):
        by_matrix = [getattr(measures, name)(model, vae) for vae in vaes]
        np.testing.assert_allclose(
            getattr(oracle, name)(model, betas, family), np.reshape(by_matrix, (2, 3)), rtol=1e-8, atol=1e-9
        )
    by_matrix = [measures.mean_squared_error(model, vae) for vae in vaes]
    np.testing.assert_allclose(oracle.mean_squared_error(model, betas), np.reshape(by_matrix, (2, 3)), rtol=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_closed_forms_with_the_learned_decoder_are_those_of_the_matrices(seed):
    model = design(seed, equal_norms=True)
    inside = np.exp(np.random.default_rng(seed).uniform(-1, 1, size=4)) * ratio(model)
    betas = np.concatenate([inside, learned.collapse_betas(model) * 0.999, learned.collapse_betas(model)[:1] * 1.01])
    vaes = [learned_vae(model, beta) for beta in betas]
    for name in ("rate", "model_kl"):
        by_matrix = [getattr(measures, name)(model, vae) for vae in vaes]
        np.testing.assert_allclose(getattr(learned, name)(model, betas), by_matrix, rtol=1e-8, atol=1e-9)
    by_matrix = [measures.distortion(model, vae) for vae in vaes]
    np.testing.assert_allclose(learned.residuals(model, betas).sum(axis=1), by_matrix, rtol=1e-9)
    for name in ("log_q", "mean_squared_error"):
        by_matrix = [getattr(measures, name)(model, matched(model, vae, name)) for vae in vaes]
        np.testing.assert_allclose(getattr(learned, name)(model, betas), by_matrix, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_slopes_are_the_finite_differences(seed, family):
    model = design(seed)
    for b in (0.3, 1.0, 4.0):
        beta, h = b * ratio(model), 1e-5 * b
        for curve, slope in ((oracle.log_q, oracle.log_q_slope), (oracle.rate, oracle.rate_slope)):
            ends = curve(model, np.array([b + h, b - h]) * ratio(model), family)
            difference = (ends[0] - ends[1]) / (2 * h)
            assert slope(model, beta, family) == pytest.approx(difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_kl_to_the_posterior_is_log_q_short_of_the_entropy(seed):
    model = design(seed)
    vae = oracle_vae(model, 0.7)
    expected = -model.posterior_entropy - measures.log_q(model, vae)
    assert measures.forward_kl(model, vae) == pytest.approx(expected, rel=1e-9)


def test_reverse_kl_is_what_the_evidence_bound_lacks():
    model = design(3, assumed=False)
    vae = oracle_vae(model, 2.3)
    log_p = -0.5 * (np.linalg.slogdet(2 * np.pi * model.data_covariance)[1] + model.n_dimensions)
    assert measures.objective(model, vae, 1.0) == pytest.approx(log_p - measures.reverse_kl(model, vae))


@pytest.mark.parametrize("seed", range(10))
def test_covariances_over_all_data_and_regressions_have_their_closed_forms(seed):
    model = design(seed, assumed=False)
    eye, g = np.eye(model.n_factors), model.snr
    for beta in (0.4, 1.0, 2.5):
        inverse = np.linalg.inv(beta * eye + g)
        diagonal, full = oracle_vae(model, beta), oracle_vae(model, beta, "full")
        np.testing.assert_allclose(full.gain @ model.mixing, inverse @ g, atol=1e-9)
        expected = eye + (1 - beta) * g @ inverse @ inverse
        np.testing.assert_allclose(measures.aggregate_covariance(model, full), expected, atol=1e-9)
        expected = g @ (eye + g) @ inverse @ inverse + np.diag(beta / (beta + np.diag(g)))
        np.testing.assert_allclose(measures.aggregate_covariance(model, diagonal), expected, atol=1e-9)
        expected = (beta**2 * eye + g) @ inverse @ inverse
        np.testing.assert_allclose(measures.error_covariance(model, diagonal), expected, atol=1e-9)
        if model.n_dimensions >= model.n_factors:
            expected = eye + (beta - 1) * model.posterior_covariance
            np.testing.assert_allclose(measures.regression(model, diagonal), expected, atol=1e-7)


# The optimum, found without the formulas


def problem(model, level, n, family, *, decoder=None):
    """SSE / 2 + τ R of a linear VAE with its gradient, by the flat parameters; the decoder is one of them if None."""
    c, d = model.data_covariance, model.n_dimensions
    lower = np.tril_indices(n)
    n_spread = n if family == "diagonal" else len(lower[0])

    def unpack(theta):
        gain, spread, rest = np.split(theta, [n * d, n * d + n_spread])
        root = np.zeros((n, n))
        if family == "diagonal":
            root[np.diag_indices(n)] = np.exp(spread / 2)
        else:
            root[lower] = spread
        w = rest.reshape(d, n) if decoder is None else decoder
        return LinearVAE(gain.reshape(n, d), root @ root.T, w), root

    def loss(theta):
        vae, root = unpack(theta)
        k, s, w = vae.gain, vae.covariance, vae.decoder
        residual = np.eye(d) - w @ k
        sse = np.trace(residual @ c @ residual.T) + np.trace(w @ s @ w.T)
        kl = 0.5 * (np.trace(s) + np.trace(k @ c @ k.T) - n - 2 * np.log(np.abs(np.diag(root))).sum())
        by_gain = -w.T @ residual @ c + level * k @ c
        by_s = (w.T @ w + level * np.eye(n)) / 2
        if family == "diagonal":
            by_spread = np.diag(by_s) * np.diag(s) - level / 2
        else:
            by_spread = (2 * by_s @ root - level * np.diag(1 / np.diag(root)))[lower]
        by_decoder = -residual @ c @ k.T + w @ s
        parts = [by_gain, by_spread] + ([by_decoder] if decoder is None else [])
        return sse / 2 + level * kl, np.concatenate([part.ravel() for part in parts])

    def start(rng):
        theta = 0.3 * rng.normal(size=n * d + n_spread + (n * d if decoder is None else 0))
        if family == "full":
            theta[n * d : n * d + n_spread] = np.eye(n)[lower]
        return theta

    return unpack, loss, start


def minimum(model, level, n, family="diagonal", decoder=None, seed=0):
    unpack, loss, start = problem(model, level, n, family, decoder=decoder)
    begin = start(np.random.default_rng(seed))
    assert check_grad(lambda t: loss(t)[0], lambda t: loss(t)[1], begin) < 1e-4
    settings = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 40}
    result = minimize(loss, begin, jac=True, method="L-BFGS-B", options=settings)
    return unpack(result.x)[0]


@pytest.mark.parametrize("family", ["diagonal", "full"])
@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("name", ["S1", "S2"])
def test_no_encoder_does_better_with_the_true_decoder(name, beta, family):
    model = case(name).model
    found = minimum(model, beta * model.noise_variance, model.n_factors, family, decoder=model.mixing)
    vae = oracle_vae(model, beta, family)
    np.testing.assert_allclose(found.gain, vae.gain, atol=1e-6)
    np.testing.assert_allclose(found.covariance, vae.covariance, atol=1e-6)
    assert measures.log_q(model, found) == pytest.approx(float(oracle.log_q(model, beta, family)), abs=1e-5)


def test_no_encoder_does_better_with_some_other_decoder():
    model, decoder = case("L1").model, np.random.default_rng(1).normal(size=(5, 3))
    for family in ("diagonal", "full"):
        found = minimum(model, 0.4, 3, family, decoder=decoder)
        vae = optimal_encoder(decoder, 0.4, family)
        np.testing.assert_allclose(found.gain, vae.gain, atol=1e-6)
        np.testing.assert_allclose(found.covariance, vae.covariance, atol=1e-6)


@pytest.mark.parametrize("family", ["diagonal", "full"])
@pytest.mark.parametrize("beta", [1.0, 2.3, 8.0])
def test_no_learned_vae_does_better(beta, family):
    model = case("L1").model
    found = minimum(model, beta * model.noise_variance, 2, family)
    vae = learned_vae(model, beta)
    best = measures.objective(model, vae, beta)
    assert measures.objective(model, found, beta) == pytest.approx(best, abs=1e-6)
    assert measures.rate(model, found) == pytest.approx(float(learned.rate(model, beta)), abs=1e-5)
    assert measures.distortion(model, found) == pytest.approx(float(learned.residuals(model, beta).sum()), abs=1e-5)
    if family == "diagonal":
        # A full covariance leaves the rotation free, a diagonal one finds the principal axes.
        expected = float(learned.log_q(model, beta))
        assert measures.log_q(model, matched(model, found)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_rotated_decoder_costs_a_diagonal_encoder_but_not_a_full_one(seed):
    model = design(seed, equal_norms=True)
    beta = 0.7 * learned.collapse_betas(model)[1]
    vae = learned_vae(model, beta)
    turned = vae.decoder @ rotation(model.n_factors, seed)
    level = float(model.water_level(beta))
    best = measures.objective(model, vae, beta)
    assert measures.objective(model, optimal_encoder(turned, level, "full"), beta) == pytest.approx(best)
    assert measures.objective(model, optimal_encoder(turned, level), beta) < best - 1e-6


# Theorems


@pytest.mark.parametrize("seed", range(30))
def test_inference_is_best_at_or_above_the_matched_beta(seed):
    model = design(seed, equal_norms=True)
    best = oracle.beta_star(model) / ratio(model)
    assert best > 1
    assert oracle.log_q_slope(model, best * ratio(model)) == pytest.approx(0, abs=1e-6)
    around = oracle.log_q(model, np.geomspace(0.01, 1000, 2000) * ratio(model))
    assert around.max() <= oracle.log_q(model, best * ratio(model)) + 1e-12
    p, precision, g = model.posterior_covariance, model.posterior_precision, model.snr
    at_one = 0.5 * (np.diag(g) * (np.diag(p) - 1 / np.diag(precision))).sum()
    assert oracle.log_q_slope(model, ratio(model)) == pytest.approx(at_one)
    grid = np.array([1 / 1.001, 1, 1.001]) * ratio(model)
    for curve in (oracle.mean_squared_error, oracle.reverse_kl, partial(oracle.reverse_kl, family="full")):
        assert np.argmin(curve(model, grid)) == 1
    assert np.argmax(oracle.log_q(model, grid, "full")) == 1
    assert oracle.beta_star(model, "full") == pytest.approx(ratio(model))


def test_orthogonal_columns_have_their_best_beta_at_the_matched_one_for_every_measure():
    axes = rotation(6, 0)[:, :3] * [0.5, 2.0, 1.0]
    model = LinearGaussian(axes, 0.2, 0.05)
    assert oracle.beta_star(model) == 0.2 / 0.05
    for measure in ("log_q", "mean_squared_error"):
        assert learned.beta_star(model, measure) == pytest.approx(0.2 / 0.05)
    tilted = LinearGaussian(axes + 1e-3 * axes[:, [1, 2, 0]], 0.2, 0.05)
    assert oracle.beta_star(tilted) > 4.000001


def test_beta_controls_independence_given_the_data():
    model = design(1)
    betas = np.geomspace(0.05, 50, 40)
    values = [measures.conditional_tc(oracle_vae(model, beta, "full")) for beta in betas]
    assert (np.diff(values) < 0).all()
    s1 = case("S1").model
    covariance = oracle_vae(s1, 2.0, "full").covariance
    crossed = covariance - np.diag(np.diag(covariance))
    slope = -(crossed**2 / np.diag(covariance)[:, None]).sum() / (2 * 2.0)
    ends = [measures.conditional_tc(oracle_vae(s1, beta, "full")) for beta in (2 + 1e-5, 2 - 1e-5)]
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)
    far = measures.conditional_tc(oracle_vae(s1, 1e4, "full"))
    assert far == pytest.approx(s1.snr[0, 1] ** 2 / (2 * 1e8), rel=1e-2)


def test_independence_given_the_data_breaks_independence_over_all_data():
    s1 = case("S1").model
    assert measures.aggregate_tc(s1, oracle_vae(s1, 1.0)) == pytest.approx(0.0124, abs=5e-5)
    full = [oracle_vae(s1, beta, "full") for beta in (0.5, 1.0, 2.0, 6.0, 1e6)]
    distances = [measures.aggregate_kl(s1, vae) for vae in full]
    assert distances[1] == pytest.approx(0, abs=1e-12)
    assert distances[4] == pytest.approx(0, abs=1e-6)
    assert min(distances[0], distances[2], distances[3]) > 0.004
    # sqrt(g_1 g_2) = 6: the wrong measure of independence is 0 there by accident.
    assert measures.aggregate_tc(s1, full[3]) == pytest.approx(0, abs=1e-12)
    assert measures.aggregate_tc(s1, full[2]) > 9e-4
    l1 = case("L1").model
    for beta in (0.3, 2.0, 8.0):
        vae = learned_vae(l1, beta)
        assert measures.conditional_tc(vae) == pytest.approx(0, abs=1e-12)
        assert measures.aggregate_tc(l1, vae) == pytest.approx(0, abs=1e-12)


def test_weak_and_strong_signals_have_the_limits_of_the_best_beta():
    equicorrelated = case("S2").model
    for factor, limit in ((1e4, oracle.beta_star_high_snr), (1e-3, oracle.beta_star_low_snr)):
        model = LinearGaussian(equicorrelated.mixing, equicorrelated.noise_variance / factor, 0.7)
        excess = oracle.beta_star(model) / ratio(model) - 1
        assert excess == pytest.approx(limit(model) / ratio(model) - 1, rel=1e-2)
    assert oracle.beta_star_high_snr(equicorrelated) == pytest.approx((1 + 2 * 0.6) / (0.4 * (1 + 3 * 0.6)))
    # The variance inflation is no bound: a direction that is lost in the noise takes the best β beyond it.
    assert oracle.beta_star(pair(0.95, 20)) > 2
    with pytest.raises(ValueError, match="linearly dependent"):
        oracle.beta_star_high_snr(LinearGaussian([[1.0, 2.0], [1.0, 2.0]], 0.1))


def test_parallel_columns_have_a_best_beta_that_grows_with_the_signal():
    ratios = {k: oracle.beta_star(LinearGaussian(np.ones((1, k)), 1e-4)) / 1e4 for k in (2, 4, 8)}
    assert ratios == pytest.approx({2: 0.78, 4: 2.00, 8: 3.95}, abs=6e-3)


def test_of_two_maxima_the_higher_one_is_taken():
    found = []
    for snr in (1700, 2500):
        model = pair(0.98, snr)
        betas = np.geomspace(1, 10 * snr, 3000)
        curve = oracle.log_q(model, betas)
        inner = (curve[1:-1] > curve[:-2]) & (curve[1:-1] > curve[2:])
        assert inner.sum() == 2, "the case is one with two"
        found.append(oracle.beta_star(model))
        assert found[-1] == pytest.approx(betas[np.argmax(curve)], rel=4e-3)
    assert found[0] > 900
    assert found[1] < 10


def test_recalibrated_variances_beat_every_beta():
    s1 = case("S1").model
    repaired = calibrated(s1, oracle_vae(s1, 1.0))
    np.testing.assert_allclose(repaired.variances, np.diag(s1.posterior_covariance))
    assert measures.forward_kl(s1, repaired) == pytest.approx(oracle.forward_kl_floor(s1))
    np.testing.assert_allclose(measures.calibration(s1, repaired), 1)
    assert oracle.forward_kl(s1, oracle.beta_star(s1)) > oracle.forward_kl_floor(s1) + 0.1
    assert oracle.reverse_kl(s1, 1.0) == pytest.approx(oracle.reverse_kl_floor(s1))


# Limits and invariances


def test_small_beta_forces_zero_error_and_large_beta_the_prior():
    model = case("S2").model
    small, large = oracle_vae(model, 1e-9), oracle_vae(model, 1e9)
    np.testing.assert_allclose(small.gain @ model.mixing, np.eye(4), atol=1e-7)
    assert oracle.log_q(model, 1e-9) < -1e6
    matched_filter = model.mixing.T / (1e9 * model.noise_variance)
    np.testing.assert_allclose(large.gain, matched_filter, rtol=1e-6)
    np.testing.assert_allclose(large.covariance, np.eye(4), atol=1e-6)
    prior = -2 * (np.log(2 * np.pi) + 1)
    assert oracle.log_q(model, 1e9) == pytest.approx(prior)
    assert (oracle.log_q(model, 1e6) - prior) * 1e6 == pytest.approx(np.trace(model.snr), rel=1e-3)
    np.testing.assert_allclose(oracle_vae(model, 1.0).gain, model.posterior_gain)
    np.testing.assert_allclose(oracle_vae(model, 1.0, "full").covariance, model.posterior_covariance)


@pytest.mark.parametrize("seed", range(5))
def test_only_beta_times_the_decoders_variance_matters(seed):
    model = design(seed, equal_norms=True)
    other = LinearGaussian(model.mixing, model.noise_variance, model.decoder_variance / 3)
    betas = np.array([0.5, 1.7, 6.0])
    for function in (oracle.log_q, oracle.rate, oracle.reverse_kl, learned.log_q, learned.rate):
        np.testing.assert_allclose(function(other, 3 * betas), function(model, betas), rtol=1e-10, atol=1e-12)
    assert oracle.beta_star(other) == pytest.approx(3 * oracle.beta_star(model), rel=1e-9)
    assert learned.beta_star(other) == pytest.approx(3 * learned.beta_star(model), rel=1e-9)
    np.testing.assert_allclose(learned.collapse_betas(other), 3 * learned.collapse_betas(model))
    for target in (0.3, 2.0):
        for module in (oracle, learned):
            assert module.beta_of_rate(other, target) == pytest.approx(3 * module.beta_of_rate(model, target))


def test_the_scale_of_beta_follows_the_reduction_of_the_loss():
    # Per image SSE + β KL and, averaged over d = 2, MSE + β KL: the same encoder at other β.
    a, noise = case("S1").model.mixing, 0.1
    halves, sums = LinearGaussian(a, noise, noise), LinearGaussian(a, noise, 0.5)
    means = LinearGaussian(a, noise, 0.5 * 2)
    best = oracle.beta_star(halves)
    assert oracle.beta_star(sums) == pytest.approx(best * noise / 0.5)
    assert oracle.beta_star(means) == pytest.approx(best * noise / 1.0)
    assert abs(oracle.beta_star(sums) - best) > 1, "the wrong reduction is off by far"


@pytest.mark.parametrize("seed", range(5))
def test_turning_the_data_or_naming_factors_anew_changes_nothing(seed):
    model = design(seed, equal_norms=True)
    turned = LinearGaussian(
        rotation(model.n_dimensions, seed) @ model.mixing[:, ::-1] * [-1, *[1] * (model.n_factors - 1)],
        model.noise_variance,
        model.decoder_variance,
    )
    betas = np.array([0.5, 1.7, 6.0])
    for function in (oracle.log_q, oracle.rate, learned.log_q, learned.rate, learned.model_kl):
        np.testing.assert_allclose(function(turned, betas), function(model, betas), rtol=1e-8, atol=1e-10)
    assert oracle.beta_star(turned) == pytest.approx(oracle.beta_star(model), rel=1e-8)


# Learned decoder


def test_latents_die_where_it_is_said_and_dead_ones_say_nothing():
    model = case("L1").model
    for j, end in enumerate(learned.collapse_betas(model)):
        before, after = learned_vae(model, end * (1 - 1e-6)), learned_vae(model, end * (1 + 1e-6))
        assert np.abs(before.decoder[:, j]).max() > 1e-5
        assert not after.decoder[:, j].any()
        assert not after.gain[j].any()
        assert after.variances[j] == 1
    assert learned.collapse_betas(model) == pytest.approx(1 + model.snr_values)
    assert learned.rate(model, 30.0) == 0


def test_a_spare_latent_encodes_noise_below_the_matched_beta_only():
    model = case("L1").model
    assert learned_vae(model, 1.01, 4).decoder[:, 2:].any() == np.False_
    spare = learned_vae(model, 0.5, 4)
    assert np.linalg.norm(spare.decoder[:, 3]) == pytest.approx(np.sqrt(0.05))
    # It takes rate and no part in standing for a factor.
    assert measures.rate(model, spare) == pytest.approx(float(learned.rate(model, 0.5)) + np.log(2))
    assert measures.log_q(model, matched(model, spare)) == pytest.approx(float(learned.log_q(model, 0.5)))
    with pytest.raises(ValueError, match="1 to 5"):
        learned_vae(model, 1.0, 6)


@pytest.mark.parametrize("n_latents", [1, 2, 3])
def test_a_learned_decoder_variance_is_the_best_one(n_latents):
    base = case("L1").model
    for beta in (0.4, 1.0, 1.5, 2.4, 4.0):

        def loss(log_variance, beta=beta):
            model = LinearGaussian(base.mixing, base.noise_variance, float(np.exp(log_variance)))
            return -measures.objective(model, learned_vae(model, beta, n_latents), beta)

        best = minimize_scalar(loss, bounds=(-6, 2), method="bounded", options={"xatol": 1e-10}).x
        found = learned.fitted_decoder_variance(base, beta, n_latents)
        assert found == pytest.approx(float(np.exp(best)), rel=1e-5)
    # Probabilistic PCA's: the mean of what is left over.
    expected = base.data_variances[n_latents:].mean()
    assert learned.fitted_decoder_variance(base, 1.0, n_latents) == pytest.approx(expected)


def test_a_decoder_variance_without_a_maximum_is_refused():
    square = case("S1").model
    with pytest.raises(ValueError, match="goes to 0"):
        learned.fitted_decoder_variance(square, 1.0)
    assert learned.fitted_decoder_variance(square, 1.01) > 0


def test_latents_are_matched_as_well_as_any_signed_choice_can():
    model = design(7, equal_norms=True)
    k = model.n_factors
    vae = learned_vae(model, 0.8 * float(learned.collapse_betas(model)[-1]))
    best = -np.inf
    for order in permutations(range(k)):
        for signs in product([1.0, -1.0], repeat=k):
            gain = vae.gain[list(order)] * np.array(signs)[:, None]
            spread = np.diag(vae.variances[list(order)])
            best = max(best, measures.log_q(model, LinearVAE(gain, spread, vae.decoder)))
    assert measures.log_q(model, matched(model, vae)) == pytest.approx(best)
    with pytest.raises(ValueError, match="diagonal"):
        matched(model, LinearVAE(vae.gain, vae.covariance + 0.01, vae.decoder))
    with pytest.raises(ValueError, match="can't stand for"):
        matched(model, learned_vae(model, 1.0, k - 1))


def test_matching_by_correlation_would_take_a_dead_latent():
    model = case("L1").model
    vae = learned_vae(model, 1.0)
    dead = 1e-9 * model.posterior_gain[:1]
    three = LinearVAE(
        np.vstack([dead, vae.gain]), np.diag([1.0, *vae.variances]), np.hstack([vae.decoder[:, :1], vae.decoder])
    )
    assert np.argmax(measures.squared_correlations(model, three)[:, 0]) == 0, "the trap is one"
    assert measures.log_q(model, matched(model, three)) == pytest.approx(float(learned.log_q(model, 1.0)))


def test_the_best_beta_per_latent_and_for_all_are_the_highest_points():
    for model in (case("L1").model, *(design(seed, equal_norms=True) for seed in range(4))):
        ends = learned.collapse_betas(model)
        grid = np.geomspace(0.2 * ratio(model), 1.1 * ends[0], 500)
        for measure, sign in (("log_q", 1), ("mean_squared_error", -1)):
            best = learned.beta_star(model, measure)
            curve = getattr(learned, measure)
            assert (sign * curve(model, grid)).max() <= sign * curve(model, best) + 1e-9
    model = case("L1").model
    for j, best in enumerate(learned.beta_star_per_latent(model, 2.0)):
        # One latent by itself: what the others contribute doesn't matter for its own best β.
        values = []
        for beta in best * np.array([0.999, 1, 1.001]):
            vae = matched(model, learned_vae(model, beta))
            m = measures.error_covariance(model, vae)[j, j]
            values.append(np.log(vae.variances[j]) + m / vae.variances[j])
        assert np.argmin(values) == 1


def test_measures_of_the_means_dont_depend_on_beta_with_orthogonal_columns():
    model = case("L0").model
    vaes = [learned_vae(model, beta) for beta in (0.5, 1.0, 5.0)]
    for measure in (measures.mig, measures.sap, lambda *given: measures.dci(*given)[0]):
        values = [measure(model, vae) for vae in vaes]
        np.testing.assert_allclose(values, values[0])
    np.testing.assert_allclose([measures.dci(model, vae) for vae in vaes], 1)
    assert measures.mig(model, learned_vae(model, 10.0)) < measures.mig(model, vaes[0])


def test_equal_variances_leave_the_learned_axes_open_and_are_refused():
    model = case("S0").model
    for call in (lambda: learned_vae(model, 1.0), lambda: learned.log_q(model, 1.0), lambda: learned.beta_star(model)):
        with pytest.raises(ValueError, match="aren't determined"):
            call()
    assert learned.rate(model, 2.0) == pytest.approx(np.log(1.1 / 0.2)), "but what doesn't need them is there"


# Measures of any encoder


def test_dci_and_mig_are_those_worked_out_by_hand():
    model = LinearGaussian(np.eye(2), 1.0)
    swap = LinearVAE(np.array([[0.0, 2.0], [-1.0, 0.0]]), np.eye(2), np.eye(2))
    assert measures.dci(model, swap) == pytest.approx((1, 1))
    np.testing.assert_allclose(measures.squared_correlations(model, swap), [[0, 0.5], [0.5, 0]], atol=1e-15)
    assert measures.mig(model, swap) == pytest.approx(0.5 * np.log(2))
    np.testing.assert_allclose(measures.squared_correlations(model, swap, sampled=True), [[0, 4 / 9], [1 / 3, 0]])
    mixed = LinearVAE(np.array([[1.0, 1.0], [1.0, -1.0]]), np.eye(2), np.eye(2))
    assert measures.dci(model, mixed) == pytest.approx((0, 0))
    assert measures.mig(model, mixed) == pytest.approx(0)
    scaled = LinearVAE(np.array([[5.0, 0.2], [-0.1, 0.3]]), np.eye(2), np.eye(2))
    other = LinearVAE(np.array([[0.05], [7.0]]) * scaled.gain, np.eye(2), np.eye(2))
    assert measures.dci(model, scaled) == pytest.approx(measures.dci(model, other)), "the scale of codes is arbitrary"
    # One factor in two of three latents: each latent is about one factor, one factor is spread over two.
    spread = LinearGaussian([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 1.0)
    one_each = LinearVAE(np.eye(3), np.eye(3), np.eye(3))
    # Coefficients times deviations: sqrt(2) / 3 for each of the two, sqrt(2) / 2 for the third.
    assert measures.dci(spread, one_each) == pytest.approx((1, (4 * (1 - np.log(2) / np.log(3)) + 3) / 7))
    dead = LinearVAE(np.array([[1.0, 0.0], [0.0, 0.0]]), np.eye(2), np.eye(2))
    np.testing.assert_allclose(measures.regression(model, dead), [[0.5, 0], [0, 0]], atol=1e-15)
    assert measures.dci(model, LinearVAE(np.zeros((2, 2)), np.eye(2), np.eye(2))) == (0, 0)


# Set points and controllers


@pytest.mark.parametrize("seed", range(10))
def test_a_set_point_selects_the_beta_with_that_rate(seed):
    model = design(seed)
    for target in (1e-14, 1e-3, 0.4, 3.0, 20.0):
        for family in ("diagonal", "full"):
            beta = oracle.beta_of_rate(model, target, family)
            assert oracle.rate(model, beta, family) == pytest.approx(target, rel=1e-8, abs=1e-15)
        n = min(model.n_factors, model.n_dimensions)
        assert learned.rate(model, learned.beta_of_rate(model, target, n), n) == pytest.approx(
            target, rel=1e-9, abs=1e-14
        )


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_impossible_set_points_and_betas_are_refused(bad):
    model = case("L1").model
    for call in (oracle.beta_of_rate, learned.beta_of_rate, oracle.rate, learned.rate, oracle_vae, learned_vae):
        with pytest.raises(ValueError, match="must be positive and finite"):
            call(model, bad)


def test_an_integral_controller_settles_as_predicted():
    model = case("L1").model

    def rate(beta):
        return float(learned.rate(model, beta))

    target, ki = 1.615, 0.002
    end = learned.beta_of_rate(model, target)
    slope = -2 / (2 * end)
    steps = control.settling_steps(slope, ki)
    assert steps == pytest.approx(2 * end / (ki * 2), rel=1e-3)
    path = control.integral_trajectory(rate, end * 1.001, target, ki=ki, n_steps=round(3 * steps))
    assert (path[round(steps)] - end) / (path[0] - end) == pytest.approx(np.exp(-1), rel=1e-2)
    assert path[-1] == pytest.approx(end, rel=1e-4)
    # From far above, where every latent is dead, the error is the whole set point.
    far = control.integral_trajectory(rate, 40.0, target, ki=ki, n_steps=5000)
    arrival = int(np.argmax(far < learned.collapse_betas(model)[0]))
    assert arrival == pytest.approx(control.approach_steps(40.0, learned.collapse_betas(model)[0], ki, target), abs=1)
    assert control.settling_steps(-2 / (2 * 8.6), 0.002) == pytest.approx(4300, rel=1e-3)


def test_a_gain_above_the_largest_stable_one_never_settles():
    model = case("S1").model
    target = 0.8

    def rate(beta):
        return float(oracle.rate(model, beta))

    end = oracle.beta_of_rate(model, target)
    slope = float(oracle.rate_slope(model, end))
    limit = control.largest_stable_ki(slope)
    ends = {}
    for share in (0.9, 1.1):
        path = control.integral_trajectory(rate, end * 1.0001, target, ki=share * limit, n_steps=300)
        ends[share] = abs(path[-1] - end)
    assert ends[0.9] < 1e-9 * end
    assert ends[1.1] > 1e-3 * end
    assert control.settling_steps(slope, 1.1 * limit) == np.inf
    assert control.largest_stable_ki(-2 / (2 * 3.0)) == pytest.approx(4 * 3.0 / 2)
    with pytest.raises(ValueError, match="slope < 0"):
        control.settling_steps(0.1, 1.0)


# What is refused


def test_impossible_models_are_refused():
    for mixing, noise, assumed, said in (
        ([1.0, 2.0], 1.0, None, "finite matrix"),
        ([[np.nan]], 1.0, None, "finite matrix"),
        ([[1.0]], 0.0, None, "noise_variance"),
        ([[1.0]], 1.0, -1.0, "assumed_variance"),
    ):
        with pytest.raises(ValueError, match=said):
            LinearGaussian(mixing, noise, assumed)
    with pytest.raises(ValueError, match="nothing to infer"):
        oracle.beta_star(LinearGaussian(np.zeros((2, 2)), 1.0))
    with pytest.raises(ValueError, match="no case 'S9'"):
        case("S9")


def test_a_model_cant_be_changed_behind_its_cached_numbers():
    mixing = np.eye(2)
    model = LinearGaussian(mixing, 1.0)
    mixing[0, 0] = 7.0
    assert model.mixing[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        model.mixing[0, 0] = 7.0
    assert sorted(CASES) == ["L0", "L1", "S0", "S1", "S2"]
