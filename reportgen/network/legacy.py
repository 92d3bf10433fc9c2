"""Architectures written by Keras 1 and 2, mended into what Keras 3 reads, where the mend is exact; else a sentence.

What a report does not need (initializers, regularizers, constraints: they act on training alone) is left out, so it need not import.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from reportgen.errors import ModelError
from reportgen.network import operations
from reportgen.network.quiet import keras, tf
from reportgen.network.sentences import shown_name

Config = dict[str, Any]
MODELS = ("Functional", "Model", "Sequential")
RENAMED = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D", "AtrousConv2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D", "Deconvolution2D": "Conv2DTranspose", "Convolution2DTranspose": "Conv2DTranspose",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "FusedBatchNormalization": "BatchNormalization", "SyncBatchNormalization": "BatchNormalization",
    "Model": "Functional",
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
ARGUMENTS = {  # Keras 1's names, where one word took another's place
    "nb_filter": "filters", "bias": "use_bias", "subsample": "strides", "subsample_length": "strides", "stride": "strides",
    "filter_length": "kernel_size", "pool_length": "pool_size", "border_mode": "padding", "atrous_rate": "dilation_rate",
    "length": "size", "sigma": "stddev", "input_dtype": "dtype", "dim_ordering": "data_format", "target_dim": "target_shape",
}  # fmt: skip
DATA_FORMATS = {"tf": "channels_last", "th": "channels_first"}
TRAINING_KEYS = re.compile(
    r".*(_initializer|_regularizer|_constraint|_init)|init|W_\w+|b_\w+|bias_axes_init|weights|create_input"
)
DROPPED: dict[str, dict[str, tuple[Any, ...]]] = {  # arguments that Keras 3 no longer takes, with the values that say what it does
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
    "ConvLSTM2D": {"implementation": (0, 1, 2)},
    "Dense": {"input_dim": (None,), "input_length": (None,)},
    "Activation": {"input_dim": (None,)},
}  # fmt: skip
DROPPED_ANYWHERE: dict[str, tuple[Any, ...]] = {"rng_type": ("stateful", "stateless", "legacy_stateful", None)}
OWN_LAYERS: dict[
    str, tuple[str, Config]
] = {  # functions of TensorFlow that Keras has as layers, by which a chain's end is known
    "nn.relu": ("ReLU", {}),
    "nn.relu6": ("ReLU", {"max_value": 6.0}),
    "nn.leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),  # TensorFlow's own default
    "nn.softmax": ("Softmax", {}),
    **{
        f"nn.{name}": ("Activation", {"activation": name})
        for name in ("elu", "selu", "silu", "softplus", "sigmoid", "tanh")
    },
    **{f"math.{name}": ("Activation", {"activation": name}) for name in ("softplus", "sigmoid", "tanh")},
}
RENORM = ("renorm_clipping", "renorm_momentum")  # only together with renorm


def hard_sigmoid(inputs: Any) -> Any:
    """Keras 1 and 2's: 0 below -2.5, 1 above 2.5, x / 5 + 1/2 between. Keras 3's is another, from -3 to 3."""
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


def mend(architecture: Any, version: int, file: str) -> Any:
    """The architecture for Keras 3. `version`: the major one of the Keras that wrote it.

    `architecture` is not changed. Raises ModelError where something cannot be mended exactly.
    """
    mender = _Mender(version, file)
    try:
        return mender.layer(architecture)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(
            f"{file} cannot be read as a Keras model (its architecture is damaged: {type(error).__name__}); save it again."
        ) from error


class _Mender:
    def __init__(self, version: int, file: str) -> None:
        self.version, self.file = version, file

    def layer(self, node: Config) -> Config:
        """One layer or model, `node` as the file has it: {"class_name", "config"} and, inside a Functional model, its connections."""
        old_kind, config = str(node["class_name"]), node["config"]
        kind = RENAMED.get(old_kind, old_kind)
        if kind == "Merge":
            kind, config = self._merge(config)
        mended = {key: value for key, value in node.items() if key != "build_config"}  # Keras 3 builds when it connects
        mended["class_name"] = kind
        if "module" in node:
            mended["module"] = self._module(kind, node["module"])
        if kind == "Sequential":
            mended["config"] = self._sequential(config)
        elif kind == "Functional":
            mended["config"] = self._functional(config)
        else:
            mended["config"] = self._arguments(kind, dict(config), old_kind)
        return mended

    def _module(self, kind: str, module: Any) -> Any:
        """Where Keras 3 has a class that a .keras file of Keras 2 names with its module."""
        if kind == "Functional":
            return "keras.src.models.functional"
        package = str(module).partition(".")[0]
        own = "keras.models" if kind == "Sequential" else "keras.layers"
        return (
            own
            if (package in ("keras", "tf_keras", "builtins") and hasattr(keras.layers, kind)) or kind == "Sequential"
            else module
        )

    def _sequential(self, config: Any) -> Config:
        if isinstance(config, list):  # before Keras 2.2.3
            config = {"name": "sequential", "layers": config}
        layers = [self.layer(layer) for layer in config["layers"]]
        shape = None
        for layer in layers:
            stated = layer["config"].pop("batch_input_shape", None) if layer["class_name"] not in MODELS else None
            shape = shape if shape is not None else stated
        if layers and layers[0]["class_name"] != "InputLayer" and shape is not None:
            first = layers[0]["config"]
            dtype = first.get("dtype", "float32")
            entry = {"batch_shape": shape, "dtype": dtype, "name": f"{first.get('name', 'layer')}_input"}
            layers.insert(0, {"class_name": "InputLayer", "config": entry})
        kept = {key: value for key, value in config.items() if key in ("name", "trainable", "build_input_shape")}
        kept["name"] = self._name(kept.get("name", "sequential"))
        names = _new_names([str(layer["config"].get("name")) for layer in layers], self._name)
        for layer in layers:
            if "name" in layer["config"]:
                layer["config"]["name"] = names[layer["config"]["name"]]
        return {**kept, "layers": layers}

    def _functional(self, config: Config) -> Config:
        names = _new_names([layer["name"] for layer in config["layers"]], self._name)
        inner = set()
        layers = []
        for old in config["layers"]:
            layer = self._operation(old) if old["class_name"] in operations.CLASSES else self.layer(old)
            layer["name"] = names[old["name"]]
            layer["config"]["name"] = names[old["name"]]
            layer["config"].pop("batch_input_shape", None)
            layers.append(layer)
            if layer["class_name"] in MODELS and layer["config"]["layers"][0]["class_name"] == "InputLayer":
                inner.add(layer["name"])
        functional = {layer["name"] for layer in layers if layer["class_name"] == "Functional"}
        for layer in layers:
            layer["inbound_nodes"] = _connected(layer["inbound_nodes"], names, inner)
        return {
            "name": self._name(config.get("name", "model")),
            "trainable": config.get("trainable", True),
            "layers": layers,
            "input_layers": _only(_connected(config["input_layers"], names, set())),
            "output_layers": _only(_connected(config["output_layers"], names, inner - functional)),
        }

    def _operation(self, node: Config) -> Config:
        """A function of TensorFlow: its arguments, which Keras 2 kept beside the connections, become the layer's own."""
        function = node["config"]["function"]
        calls = [[call] if _is_connection(call) else call for call in node["inbound_nodes"]]
        if function not in operations.FUNCTIONS or len(calls) != 1:
            raise self._cannot(f"calls TensorFlow's `{shown_name(function)}` as a layer")
        first = [connection[:3] for connection in calls[0]]
        given = {} if len(calls[0][0]) < 4 else {key: value for key, value in calls[0][0][3].items() if key != "name"}
        tensors = [key for key, value in given.items() if _is_connection(value)]
        if any(_holds_connection(value) for key, value in given.items() if key not in tensors):
            raise self._cannot(f"calls TensorFlow's `{shown_name(function)}` on several layers at once")
        arguments = {key: value for key, value in given.items() if key not in tensors}
        base = {key: value for key, value in node["config"].items() if key in ("name", "trainable", "dtype")}
        if function in OWN_LAYERS and not arguments and not tensors:
            kind, more = OWN_LAYERS[function]
            return {"class_name": kind, "config": {**base, **more}, "inbound_nodes": [first]}
        return {
            "class_name": operations.REGISTERED,
            "config": {
                **base,
                **{"function": function, "arguments": arguments, "tensors": tensors},
            },
            "inbound_nodes": [[*first, *(given[key][:3] for key in tensors)]],
        }

    def _name(self, name: Any) -> str:
        """Keras 3 takes no `/` in a layer's name."""
        return str(name).replace("/", "_")

    def _merge(self, config: Config) -> tuple[str, Config]:
        """Keras 1's Merge layer between tensors, by its mode."""
        mode = config.get("mode")
        kind = MERGES.get(mode) if isinstance(mode, str) and config.get("mode_type", "raw") == "raw" else None
        if kind is None or config.get("layers"):
            raise self._cannot(f"merges layers by `{shown_name(mode)}`")
        axis = {"axis": config.get("concat_axis", -1)} if kind == "Concatenate" else {}
        return kind, {"name": config["name"], **axis}

    def _arguments(self, kind: str, config: Config, old_kind: str) -> Config:
        config = {key: value for key, value in config.items() if TRAINING_KEYS.fullmatch(key) is None}
        if self.version == 1:
            self._first_names(kind, config)
        if kind == "InputLayer":
            if "batch_input_shape" in config:
                config["batch_shape"] = config.pop("batch_input_shape")
            config.pop("type_spec", None)
            return {
                key: value
                for key, value in config.items()
                if key in ("batch_shape", "dtype", "sparse", "ragged", "name")
            }
        if config.get("data_format") == "channels_first" and self.version == 1:
            raise self._cannot(
                "keeps its channels first (`th`) and does not say whether Theano turned its kernels round"
            )
        if kind in ("Conv2DTranspose", "Conv1DTranspose") and self.version == 1:
            config.pop("output_shape", None)  # follows from the other arguments
        self._drop(kind, config)
        self._values(kind, config)
        if old_kind == "SyncBatchNormalization":
            config["synchronized"] = True
        if kind in ("TimeDistributed", "Bidirectional") and isinstance(config.get("layer"), dict):
            config["layer"] = self.layer(config["layer"])
        return config

    def _first_names(self, kind: str, config: Config) -> None:
        """Keras 1's argument names."""
        sides = [key for key in ("nb_row", "nb_col", "kernel_dim1", "kernel_dim2", "kernel_dim3") if key in config]
        if sides:
            config["kernel_size"] = [config.pop(key) for key in sides]
        for old, new in ARGUMENTS.items():
            if old in config:
                config[new] = config.pop(old)
        if "output_dim" in config:
            config["output_dim" if kind == "Embedding" else "units"] = config.pop("output_dim")
        if "p" in config:
            config["rate"] = config.pop("p")
        if "data_format" in config:
            config["data_format"] = DATA_FORMATS.get(config["data_format"], config["data_format"])
        if config.get("padding") == "full":
            raise self._cannot("pads a convolution to `full`")
        if kind == "Conv1D" and isinstance(config.get("kernel_size"), int):
            config["kernel_size"] = [config["kernel_size"]]
        for key in ("input_dim", "input_length"):
            if kind != "Embedding":
                config.pop(key, None)

    def _drop(self, kind: str, config: Config) -> None:
        for key, harmless in {**DROPPED_ANYWHERE, **DROPPED.get(kind, {})}.items():
            if key in config:
                value = config.pop(key)
                if value not in harmless:
                    raise self._cannot(f"has a {kind} with {key} = {shown_name(value)}")
        if kind == "BatchNormalization":
            for key in RENORM:
                config.pop(key, None)

    def _values(self, kind: str, config: Config) -> None:
        dtype = config.get("dtype")
        if isinstance(dtype, dict):  # a policy of tf.keras, a loss scale beside its name
            config["dtype"] = dtype.get("config", {}).get("name", "float32")
        axis = config.get("axis")
        if isinstance(axis, list) and len(axis) == 1 and kind == "BatchNormalization":
            config["axis"] = axis[0]
        if kind == "LeakyReLU" and "alpha" in config:
            alpha = config.pop("alpha")
            config["negative_slope"] = alpha["value"] if isinstance(alpha, dict) else alpha
        if kind == "GRU":
            config.setdefault("reset_after", False)  # before Keras 2.1 there was no other
        for key, value in config.items():
            if key.endswith("activation"):
                config[key] = self._activation(value)

    def _activation(self, value: Any) -> Any:
        if (
            isinstance(value, dict)
            and value.get("class_name") not in (None, "function")
            and isinstance(value.get("config"), dict)
        ):
            return self.layer(value)
        return ACTIVATIONS.get(value, value) if isinstance(value, str) else value

    def _cannot(self, what: str) -> ModelError:
        return ModelError(
            f"{self.file} {what}, which Keras 3 cannot do exactly; load it in the Keras that wrote it (version {self.version}), "
            "change that, and save it again."
        )


def _new_names(names: list[str], clean: Callable[[Any], str]) -> dict[str, str]:
    """Clean names, unique among themselves, by the old ones; what is clean already stays as it is."""
    taken = {name for name in names if clean(name) == name}
    new: dict[str, str] = {}
    for name in names:
        wanted, number = clean(name), 1
        if wanted != name:
            while wanted in taken:
                number += 1
                wanted = f"{clean(name)}_{number}"
            taken.add(wanted)
        new[name] = wanted
    return new


def _connected(connections: Any, names: dict[str, str], inner: set[str]) -> Any:
    """Connections with layers' new names, calls of `inner` models counted from 0: Keras 2 counted their making as the first."""
    if isinstance(connections, dict):
        return {key: _connected(value, names, inner) for key, value in connections.items()}
    if not isinstance(connections, list):
        return connections
    if _is_connection(connections):
        name, call, *rest = connections
        name = names.get(name, name)
        return [name, call - (name in inner), *(_connected(item, names, inner) for item in rest)]
    return [_connected(item, names, inner) for item in connections]


def _only(connections: Any) -> Any:
    """One tensor by itself, not a list of one."""
    one = isinstance(connections, list) and len(connections) == 1 and _is_connection(connections[0])
    return connections[0] if one else connections


def _is_connection(value: Any) -> bool:
    """Whether a value is a layer's name, the number of its call and of its output (and, behind, what it was called with)."""
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int)


def _holds_connection(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return _is_connection(value) or any(_holds_connection(item) for item in items)
