"""What Keras 1 and 2 called otherwise than Keras 3: classes, arguments, activation functions, functions of TensorFlow."""

from __future__ import annotations

import re
from typing import Any

from reportgen.network.backend import keras, tf

Config = dict[str, Any]
MODELS = ("Functional", "Model", "Sequential")
RENAMED = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D", "AtrousConv2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D", "Deconvolution2D": "Conv2DTranspose", "Convolution2DTranspose": "Conv2DTranspose",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "FusedBatchNormalization": "BatchNormalization", "SyncBatchNormalization": "BatchNormalization",
    "Model": "Functional", "ThresholdedReLU": "ReLU",
    "RandomCrop": "Resizing",
    "RandomHeight": "Identity", "RandomWidth": "Identity",  # as they are outside training
}  # fmt: skip
MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "concat": "Concatenate",
    "ave": "Average",
    "max": "Maximum",
    "dot": None,
    "cos": None,
}
ARGUMENTS = {  # Keras 1's names, where one name replaced another
    "nb_filter": "filters", "bias": "use_bias", "subsample": "strides", "subsample_length": "strides", "stride": "strides",
    "filter_length": "kernel_size", "pool_length": "pool_size", "border_mode": "padding", "atrous_rate": "dilation_rate",
    "length": "size", "sigma": "stddev", "input_dtype": "dtype", "dim_ordering": "data_format", "target_dim": "target_shape",
}  # fmt: skip
DATA_FORMATS = {"tf": "channels_last", "th": "channels_first"}
TRAINING_KEYS = re.compile(
    r".*(_initializer|_regularizer|_constraint|_init)|init|W_\w+|b_\w+|bias_axes_init|weights|create_input"
)
DROPPED: dict[str, dict[str, tuple[Any, ...]]] = {  # arguments that Keras 3 no longer takes, with the values that stand for what it does
    "DepthwiseConv2D": {"groups": (1, None), "filters": (None,)},
    "DepthwiseConv1D": {"groups": (1, None), "filters": (None,)},
    "SeparableConv1D": {"groups": (1, None)},
    "SeparableConv2D": {"groups": (1, None)},
    "Conv1DTranspose": {"groups": (1, None)},
    "Conv2DTranspose": {"groups": (1, None)},
    "Conv3DTranspose": {"groups": (1, None)},
    "BatchNormalization": {
        "renorm": (False, None), "virtual_batch_size": (None,), "adjustment": (None,), "mode": (0, None), "fused": (True, False, None),
    },
    "LSTM": {"time_major": (False,), "implementation": (0, 1, 2)},
    "GRU": {"time_major": (False,), "implementation": (0, 1, 2)},
    "SimpleRNN": {"time_major": (False,), "implementation": (0, 1, 2)},
    "RNN": {"time_major": (False,)},
    **{f"ConvLSTM{rank}D": {"implementation": (0, 1, 2), "time_major": (False,)} for rank in (1, 2, 3)},
    **{f"SpatialDropout{rank}D": {"trainable": (True, False), "noise_shape": (None,)} for rank in (1, 2, 3)},
    "Discretization": {"trainable": (True, False)},
    "MultiHeadAttention": {"softmax_robust_masking": (False, None)},
    "Dense": {"input_dim": (None,), "input_length": (None,)},
    "Activation": {"input_dim": (None,)},
}  # fmt: skip
DROPPED_ANYWHERE: dict[str, tuple[Any, ...]] = {"rng_type": ("stateful", "stateless", "legacy_stateful", None)}
OWN_LAYERS: dict[str, tuple[str, Config, dict[str, str]]] = {
    # Functions of TensorFlow that Keras has as layers, which end a unit's chain: the layer, its config, its names of arguments.
    "nn.relu": ("ReLU", {}, {}),
    "nn.relu6": ("ReLU", {"max_value": 6.0}, {}),
    "nn.leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}, {"alpha": "negative_slope"}),  # TensorFlow's own default
    "nn.softmax": ("Softmax", {}, {"axis": "axis"}),
    **{
        f"nn.{name}": ("Activation", {"activation": name}, {})
        for name in ("elu", "selu", "silu", "softplus", "softsign", "sigmoid", "tanh", "gelu")
    },
    **{
        f"math.{name}": ("Activation", {"activation": name}, {}) for name in ("softplus", "softsign", "sigmoid", "tanh")
    },
}
# Of a MultiHeadAttention: Keras 3 takes them from the tensors.
INPUT_SHAPES = ("query_shape", "key_shape", "value_shape")
RENORM = ("renorm_clipping", "renorm_momentum")  # only together with renorm


def hard_sigmoid(inputs: Any) -> Any:
    """Compute hard_sigmoid as Keras 1 and 2 did: 0 below -2.5, 1 above 2.5, x / 5 + 1/2 between. Keras 3's goes from -3 to 3."""
    return tf.clip_by_value(inputs * 0.2 + 0.5, 0.0, 1.0)


keras.saving.register_keras_serializable("reportgen", "hard_sigmoid")(hard_sigmoid)
REGISTERED = "reportgen>hard_sigmoid"
ACTIVATIONS: dict[str, Any] = {
    "hard_sigmoid": {
        "class_name": "function",
        "module": "builtins",
        "config": REGISTERED,
        "registered_name": REGISTERED,
    },
    "softmax_v2": "softmax",
}
