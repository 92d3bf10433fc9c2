"""Any Keras optimizer that works value by value: one that couples values would let one filter's picture change another's."""

from __future__ import annotations

from typing import Any

import numpy as np

from reportgen.core.errors import UsageError
from reportgen.network.backend import keras, tf

# Keras's Adam divides by sqrt(v) + epsilon: for gradients of unit size an epsilon this large keeps coefficients that hardly matter from
# turning into noise, and short memories suit few steps (benchmarks/README.md). Raw gradients have no known size: there it is Keras's own.
UNIT_ADAM = {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 0.1}
PROBE_STEPS = 3
PROBE_SCALE = 100.0  # how much larger the neighbour becomes in the second run


def make(name: str | Any, unit_size: bool = True) -> Any:
    """A fresh Keras optimizer from its name (`adam`, `sgd`, `rmsprop` …) or from one that serves as a model.

    unit_size: whether it is fed gradients of unit size. Raises UsageError for an unknown name and for an optimizer that couples the
    values of a tensor.
    """
    build = _builder(name, unit_size)
    if _couples(build):
        label = name if isinstance(name, str) else type(name).__name__
        raise UsageError(
            f"--optimizer {label} couples the values that it moves, so one filter's picture would depend on another's; "
            "use an element-wise one such as adam, sgd, rmsprop, nadam or lion."
        )
    return build()


def _builder(name: str | Any, unit_size: bool) -> Any:
    if not isinstance(name, str):
        kind, config = (
            type(name),
            {**name.get_config(), "learning_rate": 1.0},
        )  # `step` states the learning rate of each
        return lambda: kind.from_config(config)
    settings = UNIT_ADAM if name.lower() == "adam" and unit_size else {}
    known = {key.lower(): kind for key, kind in vars(keras.optimizers).items() if _is_optimizer(kind)}
    try:
        chosen = known[name.lower()]
        chosen(**settings)
    except Exception as error:
        raise UsageError(
            f"--optimizer {name} is no optimizer that Keras knows (adam, sgd, rmsprop, lion …)."
        ) from error
    return lambda: chosen(**settings)


def _is_optimizer(kind: Any) -> bool:
    base = keras.optimizers.Optimizer
    return isinstance(kind, type) and issubclass(kind, base) and kind is not base


def _couples(build: Any) -> bool:
    """Whether the first row's path depends on where the second row is and on its gradient."""
    gradient = np.array([[1.0, -2.0, 0.5, 3.0], [0.3, 0.1, -0.7, 0.2]], np.float32)
    paths = []
    for scale in (1.0, PROBE_SCALE):
        pushed = gradient * np.array([[1.0], [scale]], np.float32)
        variable = keras.Variable(pushed)  # some optimizers compare a step with where they stand
        optimizer = build()
        for _ in range(PROBE_STEPS):
            optimizer.apply([tf.constant(pushed)], [variable])
        paths.append(np.asarray(variable)[0])
    return not np.array_equal(*paths)


def own_learning_rate(optimizer: Any) -> float | None:
    """The learning rate of an optimizer that serves as a model; None for a name or nothing. Raises UsageError for a schedule."""
    if optimizer is None or isinstance(optimizer, str):
        return None
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise UsageError(f"optimizer: {optimizer!r} is neither a name nor a Keras optimizer.")
    rate = optimizer.get_config()["learning_rate"]
    if not isinstance(rate, int | float | np.number):
        raise UsageError(
            f"optimizer: the learning rate of {type(optimizer).__name__} is a schedule, and patterns have their own; "
            "give the optimizer a number."
        )
    return float(str(np.float32(rate)))  # the number that was given, which Keras keeps in 32 bits


def described(optimizer: Any) -> str:
    """The optimizer as a recipe states it: its name, and what differs from Keras's own settings of it but for the learning rate."""
    if isinstance(optimizer, str):
        return optimizer
    kind, config = type(optimizer), optimizer.get_config()
    try:
        usual = kind().get_config()
    except TypeError:  # a class of the user's own that has no defaults
        usual = {}
    stated = [
        f"{name}={value!r}"
        for name, value in sorted(config.items())
        if name not in ("name", "learning_rate") and value != usual.get(name)
    ]
    return f"{kind.__name__}({', '.join(stated)})" if stated else kind.__name__


class BatchOptimizer:
    """A batch of pictures' coefficients and the optimizer's state: `start`, then one `step` after the other along gradients.

    position: float32 (batch, ...).
    """

    def __init__(self, optimizer: str | Any, shape: tuple[int, ...], unit_size: bool) -> None:
        """For batches of `shape`. unit_size: whether gradients are brought to unit size. Raises UsageError as `make` does."""
        self._optimizer = make(optimizer, unit_size)
        marked = np.linspace(1, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        self._position = keras.Variable(marked)
        self._optimizer.build([self._position])
        states = [(variable, np.asarray(variable)) for variable in self._optimizer.variables]
        # Some optimizers remember where they started.
        self._copies = [variable for variable, value in states if np.array_equal(value, marked)]
        self._initial = [(variable, value) for variable, value in states if not np.array_equal(value, marked)]

        def move(gradient: Any, learning_rate: Any) -> Any:
            self._optimizer.learning_rate = learning_rate
            self._optimizer.apply([-gradient], [self._position])  # Keras minimizes
            return tf.identity(self._position.value)

        signature = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec((), tf.float32)]
        self._move = tf.function(move, input_signature=signature, autograph=False)
        self._move.get_concrete_function()  # now: later it may be called from another thread

    def start(self, position: np.ndarray) -> Any:
        """Forget every step so far and begin at `position`."""
        for variable, value in self._initial:
            variable.assign(value)
        for variable in (self._position, *self._copies):
            variable.assign(position)
        return tf.identity(self._position.value)

    def step(self, gradient: Any, learning_rate: float) -> Any:
        """The next position, one step along `gradient`."""
        return self._move(gradient, np.float32(learning_rate))
