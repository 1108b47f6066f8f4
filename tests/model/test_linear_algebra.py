"""Cholesky solutions of the closed form, compared with NumPy's general solution, and the transform of impulses."""

import warnings

import numpy as np
import pytest
import torch

from swt_time.model.closed_form.impulses import band_matrices
from swt_time.model.closed_form.linear_algebra import ALIASED, BLOCK, Cholesky, cholesky
from swt_time.wavelets import BOUNDARIES, swt

SIZES = [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7, ALIASED]


def positive(size, smallest=1e-3):
    values = np.random.default_rng(size).normal(size=(size, 2 * size))
    return values @ values.T / size + smallest * np.eye(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rights", [1, 30])
def test_solutions_are_those_of_the_general_method(size, rights):
    matrix = positive(size)
    right = np.random.default_rng(1).normal(size=(size, rights))
    before = right.copy()
    np.testing.assert_allclose(Cholesky(matrix).solve(right), np.linalg.solve(matrix, right), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(right, before)


@pytest.mark.parametrize("size", SIZES)
def test_the_inverse_is_symmetric_and_that_of_the_general_method(size):
    matrix = positive(size)
    found = Cholesky(matrix).inverse()
    np.testing.assert_allclose(found, np.linalg.inv(matrix), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("size", SIZES)
def test_a_factor_of_padded_rows_is_that_of_the_matrix(size):
    np.testing.assert_allclose(cholesky(positive(size)), np.linalg.cholesky(positive(size)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [5, ALIASED])
def test_an_indefinite_matrix_has_no_factor(size):
    with pytest.raises(np.linalg.LinAlgError):
        Cholesky(positive(size) - 10 * np.eye(size))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym5", "bior3.1", "rbio1.3"])
@pytest.mark.parametrize(("context", "level"), [(2, 1), (7, 2), (33, 5), (100, 3)])
def test_bands_of_impulses_are_those_of_the_transform(context, wavelet, level, boundary):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # not orthogonal
        bands = swt(torch.eye(context, dtype=torch.float64), wavelet, level, boundary, norm=True)
    found = band_matrices(context, wavelet, level, boundary)
    assert len(found) == level + 1
    for k, matrix in enumerate(found):
        np.testing.assert_allclose(matrix, bands[:, k].T, rtol=0, atol=1e-13)


def test_a_level_that_does_not_fit_and_an_unknown_wavelet_are_refused():
    with pytest.raises(ValueError, match="the largest level that fits is 3"):
        band_matrices(10, "haar", 4, "periodic")
    with pytest.raises(ValueError, match="expected the name of a discrete wavelet"):
        band_matrices(10, "no wavelet", 2, "periodic")
