"""Rules of elementwise operations, and of functions that are composed of several of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from reportgen.compute.intervals.interval import (
    Interval,
    interval,
    joined,
    outward,
    roundoff,
    sum_slack,
)
from reportgen.network.backend import tf

Values = np.ndarray
Rule = Callable[[Any, Sequence[Interval]], Interval]
ARITHMETIC = 2.0  # roundings of one operation that is correctly rounded, and one to spare
FUNCTION = 8.0  # roundings by which a library's root, exponential and the like may be wrong
FLAT = 2.0  # roundings of 1 by which saturating functions may be wrong in addition
LARGE = 1e39  # above every float32 number
# Where functions bend: close together around 0, then ever farther apart.
BENDS = np.concatenate([np.linspace(0, 4, 81), np.linspace(4.5, 16, 24), np.geomspace(32, LARGE, 62)])
GRID = np.concatenate([-BENDS[:0:-1], BENDS])


def _erf(values: Values) -> Values:
    with tf.init_scope(), tf.device("CPU:0"):
        return np.asarray(tf.math.erf(tf.constant(values)))


def _erfc(values: Values) -> Values:
    with tf.init_scope(), tf.device("CPU:0"):
        return np.asarray(tf.math.erfc(tf.constant(values)))


def _sigmoid(values: Values) -> Values:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-values)))


def _elu(values: Values) -> Values:
    return np.where(values > 0, values, np.expm1(np.minimum(values, 0)))


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _selu(values: Values) -> Values:
    return np.asarray(SELU_SCALE * np.where(values > 0, values, SELU_ALPHA * np.expm1(np.minimum(values, 0))))


def _softsign(values: Values) -> Values:
    with np.errstate(invalid="ignore"):
        finite = values / (1 + np.abs(values))
    return np.asarray(np.where(np.isinf(values), np.sign(values), finite))


# Increasing functions that are computed without error.
EXACT: dict[str, Callable[[Values], Values]] = {
    "Relu": lambda values: np.maximum(values, 0),
    "Relu6": lambda values: np.clip(values, 0, 6),
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
    "Rint": np.round,
    "Sign": np.sign,
}
# Increasing functions, with their infimum and supremum.
RISING: dict[str, tuple[Callable[[Values], Values], float, float]] = {
    "Elu": (_elu, -1, np.inf),
    "Selu": (_selu, -SELU_SCALE * SELU_ALPHA * (1 + 2**-20), np.inf),
    "Sigmoid": (_sigmoid, 0, 1),
    "Tanh": (np.tanh, -1, 1),
    "Softplus": (lambda values: np.logaddexp(values, 0), 0, np.inf),
    "Softsign": (_softsign, -1, 1),
    "Exp": (np.exp, 0, np.inf),
    "Expm1": (np.expm1, -1, np.inf),
    "Erf": (_erf, -1, 1),
    "Atan": (np.arctan, -np.pi / 2 * (1 + 2**-20), np.pi / 2 * (1 + 2**-20)),
    "Log": (lambda values: np.log(np.maximum(values, 0)), -np.inf, np.inf),
    "Log1p": (lambda values: np.log1p(np.maximum(values, -1)), -np.inf, np.inf),
    "Sqrt": (lambda values: np.sqrt(np.maximum(values, 0)), 0, np.inf),
}
FALLING: dict[str, tuple[Callable[[Values], Values], float, float]] = {
    "Erfc": (_erfc, 0, 2),
    "Rsqrt": (lambda values: 1 / np.sqrt(np.maximum(values, 0)), 0, np.inf),
}


def _varies(given: Sequence[Interval]) -> Values:
    return reduce(np.logical_or, [one.varies for one in given])


def _unit(operation: Any) -> float:
    return roundoff(operation.outputs[0].dtype)


def _exact(function: Callable[[Values], Values]) -> Rule:
    return lambda operation, given: interval(function(given[0].low), function(given[0].high), given[0].varies)


def _monotone(function: Callable[[Values], Values], least: float, most: float, falling: bool) -> Rule:
    def rule(operation: Any, given: Sequence[Interval]) -> Interval:
        low, high = function(given[0].low), function(given[0].high)
        unit = _unit(operation)
        low, high = (high, low) if falling else (low, high)
        found = interval(low, high, given[0].varies, exact=False)
        wide = outward(found, FUNCTION * unit, FLAT * unit)
        return interval(np.clip(wide.low, least, most), np.clip(wide.high, least, most), wide.varies)

    return rule


def _same(operation: Any, given: Sequence[Interval]) -> Interval:
    return given[0]


def _cast(operation: Any, given: Sequence[Interval]) -> Interval:
    one, before, after = given[0], operation.inputs[0].dtype, operation.outputs[0].dtype
    if after.is_bool:
        never, always = (one.low == 0) & (one.high == 0), (one.low > 0) | (one.high < 0)
        return interval(always, ~never, one.varies)
    if after.is_integer:
        return interval(np.trunc(one.low), np.trunc(one.high), one.varies)
    return one if roundoff(after) <= roundoff(before) and before.is_floating else outward(one, roundoff(after))


def _leaky(operation: Any, given: Sequence[Interval]) -> Interval:
    slope, one = float(operation.get_attr("alpha")), given[0]
    with np.errstate(invalid="ignore"):
        ends = [np.where(end > 0, end, slope * end) for end in (one.low, one.high, np.clip(0, one.low, one.high))]
    return outward(
        interval(reduce(np.minimum, ends), reduce(np.maximum, ends), one.varies, exact=False),
        ARITHMETIC * _unit(operation),
    )


def negative(operation: Any, given: Sequence[Interval]) -> Interval:
    """Bound the result of `Neg`."""
    return interval(-given[0].high, -given[0].low, given[0].varies)


def _absolute(operation: Any, given: Sequence[Interval]) -> Interval:
    one = given[0]
    return interval(
        np.maximum(np.maximum(one.low, -one.high), 0), np.maximum(np.abs(one.low), np.abs(one.high)), one.varies
    )


def _square(operation: Any, given: Sequence[Interval]) -> Interval:
    size = _absolute(operation, given)
    with np.errstate(over="ignore"):
        return outward(interval(size.low**2, size.high**2, size.varies, exact=False), ARITHMETIC * _unit(operation))


def add(operation: Any, given: Sequence[Interval]) -> Interval:
    """Bound the result of `Add` and its like."""
    with np.errstate(invalid="ignore"):
        sums = interval(given[0].low + given[1].low, given[0].high + given[1].high, _varies(given), exact=False)
    return outward(sums, ARITHMETIC * _unit(operation))


def total(given: Sequence[Interval], slack: float) -> Interval:
    """Bound the sum of several, each with a relative error of `slack`."""
    with np.errstate(invalid="ignore"):
        wide = [outward(one, slack) for one in given]
        return interval(sum(one.low for one in wide), sum(one.high for one in wide), _varies(given))


def _add_all(operation: Any, given: Sequence[Interval]) -> Interval:
    return total(given, sum_slack(len(given), operation.outputs[0].dtype))


def _subtract(operation: Any, given: Sequence[Interval]) -> Interval:
    return add(operation, [given[0], negative(operation, [given[1]])])


def multiply(operation: Any, given: Sequence[Interval]) -> Interval:
    """Bound the result of `Mul`; what is 0 stays 0 whatever it is multiplied by, as long as that is finite."""
    first, second = given
    with np.errstate(invalid="ignore", over="ignore"):
        products = [one * other for one in (first.low, first.high) for other in (second.low, second.high)]
    products = [np.where(np.isnan(product), 0.0, product) for product in products]
    found = interval(reduce(np.minimum, products), reduce(np.maximum, products), _varies(given), exact=False)
    return outward(found, ARITHMETIC * _unit(operation))


def _reciprocal(operation: Any, given: Sequence[Interval]) -> Interval:
    one = given[0]
    crossing = (one.low <= 0) & (one.high >= 0)
    with np.errstate(divide="ignore"):
        low, high = np.where(crossing, -np.inf, 1 / one.high), np.where(crossing, np.inf, 1 / one.low)
        # What is nowhere below 0 has no negative reciprocal; the result of dividing by 0 itself is not finite.
        low, high = (
            np.where(crossing & (one.low >= 0), 1 / np.maximum(one.high, 0), low),
            np.where(crossing & (one.high <= 0), 1 / np.minimum(one.low, -0.0), high),
        )
    return outward(interval(low, high, one.varies, exact=False), FUNCTION * _unit(operation))


def _divide(operation: Any, given: Sequence[Interval]) -> Interval:
    return multiply(operation, [given[0], _reciprocal(operation, [given[1]])])


def _divide_no_nan(operation: Any, given: Sequence[Interval]) -> Interval:
    found = _divide(operation, given)
    zero = (given[1].low <= 0) & (given[1].high >= 0)
    return interval(
        np.where(zero, np.minimum(found.low, 0), found.low),
        np.where(zero, np.maximum(found.high, 0), found.high),
        _varies(given),
    )


def _extreme(choose: Callable[[Values, Values], Values]) -> Rule:
    return lambda operation, given: interval(
        choose(given[0].low, given[1].low), choose(given[0].high, given[1].high), _varies(given)
    )


def _clip(operation: Any, given: Sequence[Interval]) -> Interval:
    one, least, most = given
    low = np.minimum(np.maximum(one.low, least.low), most.low)
    return interval(low, np.minimum(np.maximum(one.high, least.high), most.high), _varies(given))


def _power(operation: Any, given: Sequence[Interval]) -> Interval:
    one, exponent = given
    if not (exponent.low == exponent.high).all() or exponent.low.size != 1:
        return interval(np.full_like(one.low, -np.inf), np.inf, _varies(given))
    wanted = float(exponent.low.reshape(-1)[0])
    if wanted == 0:
        return interval(np.ones_like(one.low), 1, False)
    whole, even = wanted == int(wanted), wanted % 2 == 0
    if wanted < 0:
        return _reciprocal(operation, [_power(operation, [one, interval(-exponent.low, -exponent.low, False)])])
    if even:
        one = _absolute(operation, [one])
    elif not whole:  # of a negative number there is none
        one = interval(np.maximum(one.low, 0), np.maximum(one.high, 0), one.varies)
    with np.errstate(over="ignore"):
        return outward(
            interval(one.low**wanted, one.high**wanted, _varies(given), exact=False),
            FUNCTION * _unit(operation) * wanted,
        )


def _squared_difference(operation: Any, given: Sequence[Interval]) -> Interval:
    return _square(operation, [_subtract(operation, given)])


def _compared(surely: Callable[[Interval, Interval], Values], maybe: Callable[[Interval, Interval], Values]) -> Rule:
    return lambda operation, given: interval(surely(*given), maybe(*given), _varies(given))


def _overlap(first: Interval, second: Interval) -> Values:
    return np.asarray((first.low <= second.high) & (second.low <= first.high))


def _certain(first: Interval, second: Interval) -> Values:
    return np.asarray((first.low == first.high) & (second.low == second.high) & (first.low == second.low))


def _select(operation: Any, given: Sequence[Interval]) -> Interval:
    condition, first, second = given
    both = joined(first, second)
    if condition.low.ndim < first.low.ndim and operation.type == "Select":  # a vector that chooses whole rows
        return interval(both.low, both.high, both.varies | condition.varies.any())
    low = np.where(condition.low > 0, first.low, np.where(condition.high < 1, second.low, both.low))
    high = np.where(condition.low > 0, first.high, np.where(condition.high < 1, second.high, both.high))
    return interval(low, high, _varies(given))


def _between(low: float, high: float) -> Rule:
    return lambda operation, given: interval(np.full_like(given[0].low, low), high, _varies(given))


ELEMENTWISE: dict[str, Rule] = {
    **{name: _exact(function) for name, function in EXACT.items()},
    **{name: _monotone(*rising, falling=False) for name, rising in RISING.items()},
    **{name: _monotone(*falling, falling=True) for name, falling in FALLING.items()},
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot", "DeepCopy", "EnsureShape"), _same),
    **dict.fromkeys(("Add", "AddV2"), add),
    **dict.fromkeys(("RealDiv", "Div"), _divide),
    **dict.fromkeys(("Reciprocal", "Inv"), _reciprocal),
    **dict.fromkeys(("Select", "SelectV2"), _select),
    **dict.fromkeys(("Sin", "Cos"), _between(-1 - 2**-6, 1 + 2**-6)),
    **dict.fromkeys(("IsFinite", "IsNan", "IsInf"), _between(0, 1)),
    "Cast": _cast,
    "LeakyRelu": _leaky,
    "Neg": negative,
    "Abs": _absolute,
    "Square": _square,
    "AddN": _add_all,
    "Sub": _subtract,
    "Mul": multiply,
    "DivNoNan": _divide_no_nan,
    "Maximum": _extreme(np.maximum),
    "Minimum": _extreme(np.minimum),
    "ClipByValue": _clip,
    "Pow": _power,
    "SquaredDifference": _squared_difference,
    "ZerosLike": lambda operation, given: interval(np.zeros_like(given[0].low), 0, False),
    "OnesLike": lambda operation, given: interval(np.ones_like(given[0].low), 1, False),
    "Greater": _compared(lambda one, other: one.low > other.high, lambda one, other: one.high > other.low),
    "GreaterEqual": _compared(lambda one, other: one.low >= other.high, lambda one, other: one.high >= other.low),
    "Less": _compared(lambda one, other: one.high < other.low, lambda one, other: one.low < other.high),
    "LessEqual": _compared(lambda one, other: one.high <= other.low, lambda one, other: one.low <= other.high),
    "Equal": _compared(_certain, _overlap),
    "NotEqual": _compared(
        lambda one, other: ~_overlap(one, other), lambda one, other: ~_certain(one, other)
    ),
    "LogicalNot": lambda operation, given: interval(1 - given[0].high, 1 - given[0].low, given[0].varies),
    "LogicalAnd": _extreme(np.minimum),
    "LogicalOr": _extreme(np.maximum),
}  # fmt: skip


def applied(operation: Any, given: Sequence[Interval]) -> Interval:
    """Bound the result of an elementwise operation."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return ELEMENTWISE[operation.type](operation, given)


def pieces(base: Interval, largest: float) -> Interval:
    """Cut an interval where functions bend.

    Args:
        base: the interval.
        largest: finite bound that replaces an infinite one.

    Returns:
        An interval with a first axis of pieces that together cover `base`.
    """
    least, most = max(float(base.low.min()), -largest), min(float(base.high.max()), largest)
    inner = GRID[np.searchsorted(GRID, least, side="right") : np.searchsorted(GRID, most)]
    edges = np.concatenate([[least], inner, [most]]).reshape(-1, *(1,) * base.low.ndim)
    low, high = np.clip(base.low, -largest, largest), np.clip(base.high, -largest, largest)
    return interval(np.clip(edges[:-1], low, high), np.clip(edges[1:], low, high), base.varies)


def union_of_pieces(parts: Interval, known: Interval) -> Interval:
    """Join the results for all pieces.

    Args:
        parts: a first axis of results, one per piece of `pieces`.
        known: bounds that hold in any case.
    """
    low, high = np.maximum(parts.low.min(axis=0), known.low), np.minimum(parts.high.max(axis=0), known.high)
    return interval(low, high, known.varies)
