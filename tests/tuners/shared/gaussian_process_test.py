"""The Gaussian process is scikit-learn's, as far as both have the same hyper-parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from amlc.tuners.shared import gaussian_process
from amlc.tuners.shared.gaussian_process import Process, even, fitted, standard, steady

NU = [0.5, 0.8, 1.5, 2.5, 3.3, math.inf]


@pytest.fixture
def seen():
    return np.random.default_rng(1).random((40, 3))


@pytest.fixture
def values(seen):
    return standard(np.sin(5 * seen[:, 0]) + seen[:, 1] ** 2 + 0.1 * np.random.default_rng(2).standard_normal(40))


def theirs(nu, theta=None):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0) * Matern(np.ones(3), nu=nu) + WhiteKernel(1.0)
    kernel = kernel if theta is None else kernel.clone_with_theta(theta)
    return GaussianProcessRegressor(kernel, alpha=1e-6, optimizer=None)


@pytest.mark.parametrize("nu", NU)
def test_the_likelihood_is_scikit_learns_and_its_gradient_that_of_differences(nu, seen, values) -> None:
    theta = np.array([0.3, -0.5, 0.2, 0.1, -4.0])
    improbability = gaussian_process._improbability(seen, values, nu, 1e-6)
    found, gradient = improbability(theta)
    assert found == pytest.approx(-theirs(nu).fit(seen, values).log_marginal_likelihood(theta), rel=1e-9)
    steps = 1e-5 * np.eye(5)
    slopes = [(improbability(theta + step)[0] - improbability(theta - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("nu", NU)
def test_mean_and_deviation_are_scikit_learns(nu, seen, values) -> None:
    lengths, noise = np.array([0.6, 1.2, 0.9]), 0.01
    theta = np.log([1.7, *lengths, noise])
    at = np.random.default_rng(3).random((300, 3))  # more than one block of rows
    mean, deviation = theirs(nu, theta).fit(seen, values).predict(at, return_std=True)
    found = Process.through(seen, values, amplitude=1.7, lengths=lengths, noise=noise, nu=nu, alpha=1e-6)
    np.testing.assert_allclose(found.mean(at), mean, rtol=1e-6, atol=1e-8)
    found_mean, found_deviation = found.expected(at)
    np.testing.assert_allclose(found_mean, mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found_deviation**2, deviation**2 - noise, atol=1e-6)


def test_a_process_that_believes_expects_what_it_expected_and_knows_more(seen, values) -> None:
    found = fitted(seen, values, 2.5, 1e-6)
    running = np.array([[0.5, 0.5, 0.5]])
    believing = found.believing(running)
    np.testing.assert_allclose(believing.mean(running), found.mean(running), atol=1e-3)
    assert believing.expected(running)[1] < found.expected(running)[1]
    assert found.believing(np.empty((0, 3))) is found


def test_lengths_and_noise_may_be_those_of_earlier_values(seen, values) -> None:
    earlier = seen[:20], values[:20]
    found = fitted(seen, values, 2.5, 1e-6, learned=earlier)
    before = fitted(*earlier, 2.5, 1e-6)
    assert (found.amplitude, found.noise, *found.lengths) == (before.amplitude, before.noise, *before.lengths)
    np.testing.assert_allclose(found.mean(seen[20:]), values[20:], atol=0.3)


def test_what_no_other_result_lets_expect_is_a_surprise(seen, values) -> None:
    changed = values.copy()
    changed[7] += 3
    assert fitted(seen, changed, 2.5, 1e-6).surprise().argmax() == 7


def test_the_lengths_tell_which_axes_matter(seen, values) -> None:
    first, second, third = fitted(seen, values, 2.5, 1e-6).lengths
    assert first < second < third


def test_hyper_parameters_do_not_depend_on_last_digits(seen, values) -> None:
    blurred = values * (1 + 1e-13)
    one, other = (fitted(seen, y, 2.5, 1e-6) for y in (values, blurred))
    assert one is not other
    assert (one.amplitude, one.noise) == (other.amplitude, other.noise)
    assert one.lengths.tolist() == other.lengths.tolist()


def test_numbers_that_differ_by_chance_are_the_same_when_steady() -> None:
    numbers = np.array([1 / 3, -2e9 / 7, 1e-30, 0.0, 1e300])
    np.testing.assert_array_equal(steady(numbers), steady(numbers * (1 + 1e-12)))
    np.testing.assert_allclose(steady(numbers), numbers, rtol=1e-7)
    assert steady(np.array([1.0]))[0] != steady(np.array([1.0 + 1e-6]))[0]
    assert steady(np.array([-np.inf, np.inf])).tolist() == [-np.inf, np.inf]


RANDOM = np.random.default_rng(3)
TAILS = {
    "none": (RANDOM.standard_normal(60), 1.0),
    "of good ones": (-np.exp(RANDOM.standard_normal(60)), 1.0),
    "of bad ones": (RANDOM.random(60) ** 4, None),
    "of losses that grow tenfold": (10 ** RANDOM.uniform(0, 3, 60), None),
}


@pytest.mark.parametrize("tail", TAILS)
def test_a_long_tail_is_shortened_by_the_power_that_scipy_finds(tail) -> None:
    values, power = TAILS[tail]
    if power is None:
        power = np.clip(round(8 * stats.yeojohnson_normmax(standard(values))) / 8, -2, 1)
        assert power < 0
    assert even(values) == pytest.approx(standard(stats.yeojohnson(standard(values), power)), abs=1e-9)
    assert (np.argsort(even(values)) == np.argsort(values)).all()


def test_few_equal_and_enormous_results_can_be_evened() -> None:
    assert list(even(np.array([3.0]))) == [0]
    assert list(even(np.array([2.0, 2.0]))) == [0, 0]
    assert even(np.array([1e-300, 3e-300])) == pytest.approx([0, 0])
    for values in ([1.0, 2.0], [1e300, -1e300, 0.0], [0.0] * 99 + [1e100]):
        found = even(np.array(values))
        assert np.isfinite(found).all()
        assert found.std() == pytest.approx(1)
