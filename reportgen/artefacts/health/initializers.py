"""Whether a kernel has the distribution of an initializer: its shape, its scale, and independent entries, as training leaves none.

Scales: Glorot & Bengio (2010), He et al. (2015) and LeCun et al. (1998), as Keras defines them; the default of a PyTorch convolution is
uniform within 1 / sqrt(fan_in). The largest singular value of a random matrix follows the law of Tracy & Widom (Johnstone 2001).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import erf, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from reportgen.core.axes import KernelKind, by_filter, filter_shape

LEAST_WEIGHTS = 200  # with fewer, KS_LIMIT lets a normal distribution pass for a uniform one
MOST_SAMPLED = 2**14  # weights whose distribution is compared; more only cost time
KS_LIMIT = 2.4  # of the Kolmogorov-Smirnov distance times sqrt(weights): one kernel in 50,000 exceeds it by chance
ERRORS = 5.0  # standard errors that any statistic may be off: one in a million is by chance
EDGE = 14.0  # the largest of n uniform weights is below (1 - 14 / n) of the bound once in a million kernels
ROUNDING = {2: 2.0**-10, 4: 1e-6, 8: 1e-6}  # of a bound, by bytes of a weight: what the initializer's arithmetic leaves
CUT = 2.0  # standard deviations at which Keras cuts a truncated normal distribution
CUT_STD = 0.87962566103423978  # what such a cut leaves of the standard deviation
LEAST_GROUPS = 8  # filters, input channels or taps; the spread over fewer is not known well enough
SQUARE_KURTOSIS = 12.0  # excess kurtosis of the square of a normal number; that of the other distributions is smaller
MATRIX = (128, 1024)  # rows and columns whose largest singular value is found: structure shows in any part of a kernel
ORTHOGONAL_ERROR = 1e-4  # of products of rows; float32 leaves about 1e-6, and any training much more
FIXED_STDS = (
    0.01,
    0.02,
    0.05,
)  # of normal distributions that are used whatever the layer's size; 0.05 is Keras's default
FIXED_BOUND = 0.05  # Keras's default of a uniform one
PYTORCH = 1 / 3  # variance of PyTorch's default times fan_in: `kaiming_uniform_` with a = sqrt(5)


class Distribution(StrEnum):
    """What the entries of a kernel agree with."""

    UNIFORM = "uniform"
    TRUNCATED = "truncated normal"
    NORMAL = "normal"
    ORTHOGONAL = "orthogonal"
    ZEROS = "zeros"


UNIFORM, TRUNCATED, NORMAL, ORTHOGONAL, ZEROS = Distribution
BOUNDS = {UNIFORM: sqrt(3), TRUNCATED: CUT / CUT_STD}  # in standard deviations
SQUARES = {UNIFORM: 0.8, TRUNCATED: 1.3646, NORMAL: 2.0}  # variance of an entry's square, at a standard deviation of 1


@dataclass(frozen=True)
class Initializer:
    """An initializer at the size of a layer; `std` of what it draws."""

    name: str
    distribution: Distribution
    std: float


@dataclass(frozen=True)
class Fit:
    """What a kernel agrees with.

    Attributes:
        tested: whether it has enough weights to tell.
        distribution: None where it agrees with no initializer.
        names: of the initializers whose scale it has; none where only the distribution's shape agrees.
        scale: bound of a uniform distribution, standard deviation of a normal one, length of an orthogonal row.
        distance: largest difference of the cumulative distributions; `limit` is what an initializer stays below.
    """

    tested: bool = True
    distribution: Distribution | None = None
    names: tuple[str, ...] = ()
    scale: float = 0.0
    distance: float = 0.0
    limit: float = 0.0


def fit_initializer(kernel: NDArray[np.floating], kind: KernelKind) -> Fit:
    """Compare a kernel with the initializers of Keras and PyTorch.

    Args:
        kernel: as Keras keeps it.
        kind: how its axes are to be read: plain, transposed or depthwise.
    """
    values = np.ravel(kernel).astype(np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return Fit(tested=False)
    if not values.any():
        return Fit(distribution=ZEROS, names=("zeros",))
    if len(values) < LEAST_WEIGHTS or np.ptp(values) == 0:  # one number throughout is a fixed filter, such as a mean
        return Fit(tested=False)
    sample = _sample(values)
    square = float(np.mean(values**2))
    std, limit = sqrt(square), KS_LIMIT / sqrt(len(sample))
    distances = {each: _distance(sample / std, each) for each in SQUARES}
    near = [each for each in SQUARES if distances[each] <= limit and _is_within(values, std, each)]
    if NORMAL in near and (length := _orthogonal_length(kernel)) is not None:
        return Fit(True, ORTHOGONAL, ("orthogonal",), length, distances[NORMAL], limit)
    if not near or not _is_independent(by_filter(kind, kernel), near[0]):
        return Fit()
    rounding = ROUNDING.get(kernel.dtype.itemsize, 0.0)
    known = [each for each in initializers(kind, kernel.shape) if each.distribution in near]
    largest = float(np.max(np.abs(values)))
    named = [each for each in known if _has_scale(len(values), largest, square, each, rounding)]
    best = named[0].distribution if named else near[0]
    names = tuple(dict.fromkeys(each.name for each in named if each.distribution == best))
    own = named[0].std if named else std
    return Fit(True, best, names, own * (BOUNDS[UNIFORM] if best == UNIFORM else 1), distances[best], limit)


def initializers(kind: KernelKind, shape: tuple[int, ...]) -> Iterator[Initializer]:
    """Yield the usual initializers of a kernel, as Keras and as PyTorch count its inputs and outputs.

    Args:
        kind: plain, transposed or depthwise.
        shape: of the kernel as Keras keeps it.
    """
    filters, inputs, *taps = filter_shape(kind, shape)
    own = prod(shape[:-1]), prod(shape[:-2]) * shape[-1]
    for fan_in, fan_out in dict.fromkeys((own, (inputs * prod(taps), filters * prod(taps)))):
        scales = {
            "Glorot": 2 / (fan_in + fan_out),
            "He": 2 / fan_in,
            "LeCun": 1 / fan_in,
            "He (fan out)": 2 / fan_out,
        }
        for name, variance in scales.items():
            for each in SQUARES:
                yield Initializer(f"{name} {'uniform' if each == UNIFORM else 'normal'}", each, sqrt(variance))
        yield Initializer("PyTorch default", UNIFORM, sqrt(PYTORCH / fan_in))
    yield Initializer("random uniform", UNIFORM, FIXED_BOUND / BOUNDS[UNIFORM])
    for std in FIXED_STDS:
        yield Initializer("random normal", NORMAL, std)
        yield Initializer("truncated normal", TRUNCATED, std * CUT_STD)


def _sample(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most MOST_SAMPLED of the values, sorted; every odd-numbered one, so that all filters of an even number are met."""
    step = -(-len(values) // MOST_SAMPLED)
    return np.sort(values[:: step + (step + 1) % 2])


def _distance(ordered: NDArray[np.float64], distribution: Distribution) -> float:
    """The Kolmogorov-Smirnov distance of sorted values from a distribution with a standard deviation of 1."""
    expected = _cumulative(ordered, distribution)
    ranks = np.arange(len(ordered) + 1) / len(ordered)
    return float(max(np.max(expected - ranks[:-1]), np.max(ranks[1:] - expected)))


def _cumulative(values: NDArray[np.float64], distribution: Distribution) -> NDArray[np.float64]:
    """The cumulative distribution at a standard deviation of 1."""
    if distribution == UNIFORM:
        return np.clip((values / BOUNDS[UNIFORM] + 1) / 2, 0, 1)
    width = CUT_STD if distribution == TRUNCATED else 1.0
    normal = np.array([erf(value) for value in (values * (width / sqrt(2))).tolist()])
    return np.clip(normal / erf(CUT / sqrt(2)), -1, 1) / 2 + 0.5 if distribution == TRUNCATED else normal / 2 + 0.5


def _is_within(values: NDArray[np.float64], std: float, distribution: Distribution) -> bool:
    """Whether no value is beyond the bound of a distribution whose standard deviation is known from these values."""
    error = ERRORS * sqrt(SQUARES[distribution] / len(values)) / 2
    return distribution not in BOUNDS or bool(np.max(np.abs(values)) <= BOUNDS[distribution] * std * (1 + error))


def _has_scale(count: int, largest: float, square: float, initializer: Initializer, rounding: float) -> bool:
    """Whether values of this largest magnitude and mean square have the bound and the variance of an initializer."""
    distribution, std = initializer.distribution, initializer.std
    if distribution in BOUNDS and largest > BOUNDS[distribution] * std * (1 + rounding):
        return False
    if distribution == UNIFORM:
        return largest >= BOUNDS[UNIFORM] * std * (1 - EDGE / count)
    return abs(square / std**2 - 1) <= ERRORS * sqrt(SQUARES[distribution] / count)


def _orthogonal_length(kernel: NDArray[np.floating]) -> float | None:
    """The length of the rows of an orthogonal matrix, as Keras or PyTorch flattens a kernel to one; None for other kernels."""
    flat = kernel.astype(np.float64)
    for matrix in (
        flat.reshape(-1, flat.shape[-1]),
        flat.reshape(-1, *flat.shape[-2:]).swapaxes(0, 1).reshape(flat.shape[-2], -1),
    ):
        rows = matrix if len(matrix) <= matrix.shape[1] else matrix.T
        if len(rows) < LEAST_GROUPS:
            continue
        rows = rows[: MATRIX[0]]
        products = rows @ rows.T
        square = float(np.mean(np.diag(products)))
        if np.max(np.abs(products - square * np.eye(len(rows)))) <= ORTHOGONAL_ERROR * square:
            return sqrt(square)
    return None


def _is_independent(kernel: NDArray[np.floating], distribution: Distribution) -> bool:
    """Whether filters, input channels and taps differ no more from each other than independent entries make them.

    Args:
        kernel: (filters, inputs, *taps).
        distribution: of its entries.
    """
    entries = kernel.reshape(*kernel.shape[:2], -1).astype(np.float64)
    entries /= np.sqrt(np.mean(entries**2))
    squared = entries**2
    for axis, groups in enumerate(entries.shape):
        if groups < LEAST_GROUPS:
            continue
        others = tuple(each for each in range(entries.ndim) if each != axis)
        size = entries.size // groups
        sums, squares = entries.sum(axis=others), squared.sum(axis=others)
        freedom = 2 / (2 / (groups - 1) + SQUARE_KURTOSIS / entries.size)
        if _errors(float(np.mean(sums**2)) / size, groups) > ERRORS:
            return False
        if _errors(float(np.var(squares, ddof=1)) / (size * SQUARES[distribution]), freedom) > ERRORS:
            return False
    return _top_errors(entries[: MATRIX[0]]) <= ERRORS


def _errors(mean_square: float, freedom: float) -> float:
    """Standard errors by which a mean of squares of standard normal numbers is above 1 (Wilson & Hilferty 1931)."""
    spread = 2 / (9 * freedom)
    return float((np.cbrt(mean_square) - (1 - spread)) / sqrt(spread))


def _top_errors(filters: NDArray[np.float64]) -> float:
    """How far the largest singular value is above that of independent entries, on the scale of Tracy & Widom."""
    part = filters.reshape(len(filters), -1)[:, : MATRIX[1]]
    part = part if len(part) <= part.shape[1] else part.T
    rows, columns = part.shape
    if rows < LEAST_GROUPS:
        return 0.0
    top = float(np.linalg.eigvalsh(part @ part.T)[-1])
    root = sqrt(columns - 1) + sqrt(rows)
    return (top - root**2) / (root * float(np.cbrt(1 / sqrt(columns - 1) + 1 / sqrt(rows))))
