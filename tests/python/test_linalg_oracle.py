"""Factorisations, solvers and Fourier transforms. Direct methods: the textbook algorithm runs on numbers that count
what is done to them, the values agree with torch's, and fxcost counts as many operations. Estimates: the published
formula."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from costs import Function, totals_of, work_of
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

torch.set_num_threads(1)


class Count:
    operations = 0


class Number:
    """A number each of whose operations is counted."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def _with(self, other: Number, function: Callable[[Any, Any], Any]) -> Number:
        Count.operations += 1
        return Number(function(self.value, other.value))

    def __add__(self, other: Number) -> Number:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Number) -> Number:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Number) -> Number:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Number) -> Number:
        return self._with(other, lambda a, b: a / b)

    def root(self) -> Number:
        return self._with(self, lambda a, _: math.sqrt(a))


Matrix = list[list[Number]]


def numbers(matrix: Tensor) -> Matrix:
    return [[Number(x) for x in row] for row in matrix.tolist()]


def tensor(matrix: Matrix) -> Tensor:
    return torch.tensor([[x.value for x in row] for row in matrix])


def counted(algorithm: Callable[..., Matrix], *matrices: Tensor) -> tuple[Tensor, int]:
    arguments = [numbers(matrix) for matrix in matrices]
    Count.operations = 0
    result = algorithm(*arguments)
    return tensor(result), Count.operations


def cholesky(a: Matrix) -> Matrix:
    n = len(a)
    for k in range(n):
        a[k][k] = a[k][k].root()
        for i in range(k + 1, n):
            a[i][k] = a[i][k] / a[k][k]
        for j in range(k + 1, n):
            for i in range(j, n):
                a[i][j] = a[i][j] - a[i][k] * a[j][k]
    return [[a[i][j] if j <= i else Number(0.0) for j in range(n)] for i in range(n)]


def lu(a: Matrix) -> Matrix:
    """Without exchanges of rows: the pivots of what is tested are large enough. The column is scaled by one reciprocal,
    as GETF2 does."""
    rows, columns = len(a), len(a[0])
    for k in range(min(rows, columns)):
        pivot = Number(1.0) / a[k][k]
        for i in range(k + 1, rows):
            a[i][k] = a[i][k] * pivot
            for j in range(k + 1, columns):
                a[i][j] = a[i][j] - a[i][k] * a[k][j]
    return a


def forward(a: Matrix, b: Matrix, unit: bool) -> Matrix:
    for column in range(len(b[0])):
        for i in range(len(a)):
            for j in range(i):
                b[i][column] = b[i][column] - a[i][j] * b[j][column]
            if not unit:
                b[i][column] = b[i][column] / a[i][i]
    return b


def backward(a: Matrix, b: Matrix) -> Matrix:
    for column in range(len(b[0])):
        for i in reversed(range(len(a))):
            for j in range(i + 1, len(a)):
                b[i][column] = b[i][column] - a[i][j] * b[j][column]
            b[i][column] = b[i][column] / a[i][i]
    return b


def transposed(a: Matrix) -> Matrix:
    return [list(row) for row in zip(*a, strict=True)]


DIAGONAL = torch.tensor([[9.0, 1, 2, 1, 0], [1, 8, 1, 2, 1], [2, 1, 9, 1, 1], [1, 2, 1, 7, 2], [0, 1, 1, 2, 8]])
SIDES = torch.arange(15.0).reshape(5, 3)
LOWER = torch.linalg.cholesky(DIAGONAL)
Oracle = tuple[Callable[..., Tensor], Callable[..., Matrix], tuple[Tensor, ...]]
DIRECT: dict[str, Oracle] = {
    "cholesky": (torch.linalg.cholesky, cholesky, (DIAGONAL,)),
    "triangular": (
        lambda a, b: torch.linalg.solve_triangular(a, b, upper=False),
        lambda a, b: forward(a, b, False),
        (LOWER, SIDES),
    ),
    "cholesky_solve": (
        lambda b, a: torch.cholesky_solve(b, a),
        lambda b, a: backward(transposed(a), forward(a, b, False)),
        (SIDES, LOWER),
    ),
}


@pytest.mark.parametrize("name", DIRECT)
def test_direct_methods_cost_what_the_algorithm_does(name: str) -> None:
    function, algorithm, args = DIRECT[name]
    values, operations = counted(algorithm, *args)
    torch.testing.assert_close(values, function(*args), rtol=1e-4, atol=1e-4)
    assert work_of(function, *args) == (0, operations, 0)
    stacked = [torch.stack([x, x]) for x in args]
    assert work_of(function, *stacked) == (0, 2 * operations, 0)


@pytest.mark.parametrize("shape", [(5, 5), (5, 3), (3, 5), (1, 1), (1, 4), (4, 1)])
def test_lu_factors(shape: tuple[int, int]) -> None:
    a = DIAGONAL[: shape[0], : shape[1]].contiguous()
    values, operations = counted(lu, a)
    torch.testing.assert_close(values, lu_without_pivots(a))
    assert work_of(lambda x: torch.linalg.lu_factor(x)[0], a) == (0, operations, 0)


def lu_without_pivots(a: Tensor) -> Tensor:
    """The diagonal is dominant where it is a square: exchanging rows changes nothing. Else computed with matrices."""
    k = min(a.shape)
    square = torch.linalg.lu_factor(a[:k, :k].contiguous()).LU
    lower, upper = square.tril(-1) + torch.eye(k), square.triu()
    below = torch.linalg.solve_triangular(upper, a[k:, :k], upper=True, left=False) if a.shape[0] > k else a[k:, :k]
    right = torch.linalg.solve_triangular(lower, a[:k, k:], upper=False) if a.shape[1] > k else a[:k, k:]
    return torch.cat([torch.cat([square, right], 1), torch.cat([below, a[k:, k:]], 1)], 0)


def test_solve_is_its_factors_and_both_substitutions() -> None:
    def solve(a: Matrix, b: Matrix) -> Matrix:
        lu(a)
        return backward(a, forward(a, b, True))

    values, operations = counted(solve, DIAGONAL, SIDES)
    torch.testing.assert_close(values, torch.linalg.solve(DIAGONAL, SIDES), rtol=1e-4, atol=1e-4)
    assert work_of(torch.linalg.solve, DIAGONAL, SIDES) == (0, operations, 0)
    assert work_of(torch.linalg.solve, DIAGONAL, SIDES[:, 0]) == work_of(torch.linalg.solve, DIAGONAL, SIDES[:, :1])
    _, factors = counted(lu, DIAGONAL)
    assert work_of(lambda x: torch.linalg.det(x), DIAGONAL) == (0, factors + 4, 0)
    assert work_of(lambda x: torch.linalg.slogdet(x)[1], DIAGONAL) == (0, factors + 4 * 5 - 2, 5)


def lawn41(m: int, n: int) -> dict[str, float]:
    """LAPACK Working Note 41, appendix C, total operations for m >= n where that matters (Householder methods, whose
    reflectors are scaled in more than one way)."""
    return {
        "inverse": 2 * n**3 - 3 / 2 * n**2 + 5 / 2 * n,
        "geqrf": 2 * m * n**2 - 2 / 3 * n**3 + n**2 + m * n + 14 / 3 * n,
        "orgqr": 4 * m * n * n - 2 * (m + n) * n**2 + 4 / 3 * n**3 + 3 * n * n - m * n - n**2 - 4 / 3 * n,
        "potri": 2 / 3 * n**3 + 1 / 2 * n**2 + 5 / 6 * n,
        "sytrf": 1 / 3 * n**3 + 1 / 2 * n**2 + 19 / 6 * n,
    }


def test_householder_methods_and_inverses_follow_the_note() -> None:
    square, tall = lawn41(5, 5), lawn41(7, 4)
    a = torch.randn(7, 4)
    reflectors, tau = torch.geqrf(a)
    for function, args, expected in (
        (torch.linalg.inv, (DIAGONAL,), square["inverse"]),
        (torch.cholesky_inverse, (LOWER,), square["potri"]),
        (lambda x: torch.linalg.ldl_factor(x)[0], (DIAGONAL,), square["sytrf"]),
        (lambda x: torch.geqrf(x)[0], (a,), tall["geqrf"]),
        (torch.linalg.householder_product, (reflectors, tau), tall["orgqr"]),
        (lambda x: torch.linalg.qr(x)[0], (a,), tall["geqrf"] + tall["orgqr"]),
        (lambda x: torch.linalg.qr(x, mode="r")[1], (a,), tall["geqrf"]),
    ):
        assert work_of(function, *args) == (0, round(expected), 0)


def test_iterative_methods_follow_the_published_estimates() -> None:
    """Golub and Van Loan, "Matrix Computations", 4th edition: 7.5.6, 8.3.3, figure 8.6.1."""
    n, m = 5, 7
    tall = torch.randn(m, n)
    for function, args, expected in (
        (lambda x: torch.linalg.eigh(x)[1], (DIAGONAL,), 9 * n**3),
        (torch.linalg.eigvalsh, (DIAGONAL,), 4 * n**3 / 3),
        (lambda x: torch.linalg.eig(x)[1], (DIAGONAL,), 25 * n**3),
        (torch.linalg.eigvals, (DIAGONAL,), 10 * n**3),
        (torch.linalg.svdvals, (tall,), 4 * m * n**2 - 4 * n**3 / 3),
        (torch.linalg.svdvals, (tall.t().contiguous(),), 4 * m * n**2 - 4 * n**3 / 3),
        (lambda x: torch.linalg.svd(x, full_matrices=False)[0], (tall,), 14 * m * n**2 + 8 * n**3),
        (lambda x: torch.linalg.svd(x)[0], (tall,), 4 * m**2 * n + 8 * m * n**2 + 9 * n**3),
    ):
        assert work_of(function, *args) == (0, math.floor(expected), 0)


def test_complex_factors_cost_6_a_product_and_2_a_sum() -> None:
    z = torch.complex(DIAGONAL, torch.zeros(5, 5))
    n = 5
    products, sums = n**3 / 6 + n**2 / 2 + n / 3, n**3 / 6 - n / 6
    assert work_of(torch.linalg.cholesky, z) == (0, round(6 * products + 2 * sums), 0)


@pytest.mark.parametrize("power", [-3, -1, 0, 1, 2, 3, 5, 8, 13])
def test_matrix_power_is_what_torch_multiplies(power: int) -> None:
    """FlopCounterMode sees the products of a power; those of a negative one follow its inverse."""
    with FlopCounterMode(display=False) as counter:
        torch.linalg.matrix_power(DIAGONAL, power)
    matrix, vector, _ = work_of(lambda x: torch.linalg.matrix_power(x, power), DIAGONAL)
    assert matrix == counter.get_total_flops()
    assert vector == (round(lawn41(5, 5)["inverse"]) if power < 0 else 0)


@pytest.mark.parametrize("sizes", [(3, 9, 2), (10, 100, 5, 50), (7, 2, 9, 3, 8, 4)])
def test_chains_are_multiplied_in_torchs_order(sizes: tuple[int, ...]) -> None:
    matrices = [torch.randn(a, b) for a, b in zip(sizes, sizes[1:], strict=False)]
    with FlopCounterMode(display=False) as counter:
        torch.linalg.multi_dot(matrices)
    assert work_of(lambda *args: torch.linalg.multi_dot(args), *matrices)[0] == counter.get_total_flops()


# ---- Fourier transforms ---------------------------------------------------------------------------------------------


def radix_2(x: list[complex]) -> tuple[list[complex], int]:
    """The spectrum, and FLOPs: of each butterfly a complex product (6) and two complex sums (2 each)."""
    n = len(x)
    if n == 1:
        return x, 0
    (even, a), (odd, b) = radix_2(x[::2]), radix_2(x[1::2])
    turned = [cmath.exp(-2j * math.pi * k / n) * odd[k] for k in range(n // 2)]
    whole = [even[k] + turned[k] for k in range(n // 2)] + [even[k] - turned[k] for k in range(n // 2)]
    return whole, a + b + 10 * (n // 2)


def test_a_transform_costs_what_radix_2_does() -> None:
    x = torch.complex(torch.randn(3, 16), torch.randn(3, 16))
    spectra, flops = zip(*(radix_2(row) for row in x.tolist()), strict=True)
    torch.testing.assert_close(torch.tensor(spectra), torch.fft.fft(x), rtol=1e-4, atol=1e-4)
    assert work_of(torch.fft.fft, x) == (0, sum(flops), 0)
    assert work_of(torch.fft.ifft, x) == (0, sum(flops), 0)
    assert work_of(torch.fft.rfft, x.real.contiguous()) == (0, sum(flops) // 2, 0)
    assert work_of(lambda y: torch.fft.irfft(y, 16), torch.fft.rfft(x.real)) == (0, sum(flops) // 2, 0)


@pytest.mark.parametrize(
    ("function", "shape", "points", "signals", "factor"),
    [
        (torch.fft.fft2, (3, 8, 12), 96, 3, 5),
        (torch.fft.fftn, (2, 4, 6), 48, 1, 5),
        (lambda x: torch.fft.fft(x, 20, 0), (9, 4), 20, 4, 5),
        (lambda x: torch.fft.rfft2(x), (3, 8, 12), 96, 3, 2.5),
        (lambda x: torch.fft.rfftn(x, (4, 10)), (2, 8, 12), 40, 2, 2.5),
        (lambda x: torch.fft.irfft(x), (3, 9), 16, 3, 2.5),
        (lambda x: torch.fft.hfft(x, 15), (3, 9), 15, 3, 2.5),
        (torch.fft.fft, (3, 1), 1, 3, 5),
    ],
)
def test_other_lengths_and_dimensions(
    function: Callable[..., Tensor], shape: tuple[int, ...], points: int, signals: int, factor: float
) -> None:
    expected = round(factor * signals * points * math.log2(points))
    assert work_of(function, torch.randn(shape)) == (0, expected, 0)


def test_short_time_transforms() -> None:
    x, window = torch.randn(2, 400), torch.hann_window(64)
    frames, n = 1 + 400 // 16, 64

    def spectrum(x: Tensor, w: Tensor) -> Tensor:
        return torch.ops.aten.stft.center(x, n, 16, 64, w, False, "reflect", False, True, True)

    spectra = spectrum(x, window)
    frames = spectra.shape[-1]
    transforms = round(2.5 * 2 * frames * n * math.log2(n))
    assert work_of(spectrum, x, window) == (0, transforms + 2 * frames * n, 0)
    length = torch.istft(torch.stft(x, n, 16, window=window, return_complex=True), n, 16, window=window).shape[-1]
    full = torch.stft(x, n, 16, window=window, return_complex=True)
    frames = full.shape[-1]
    transforms = round(2.5 * 2 * frames * n * math.log2(n))
    expected = transforms + 2 * (2 * frames * n) + frames * n + n + 2 * length
    assert work_of(lambda s, w: torch.istft(s, n, 16, window=w), full, window) == (0, expected, 0)


def test_what_has_no_published_count_is_unknown() -> None:
    with torch.no_grad():
        totals = totals_of(Function(lambda x: torch.linalg.matrix_exp(x) + 1), (DIAGONAL,))
    assert totals.unknown_nodes == 1
    assert totals.flops == 25
