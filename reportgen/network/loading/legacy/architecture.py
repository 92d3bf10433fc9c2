"""Architectures written by Keras 1 and 2, mended into what Keras 3 reads, where the mend is exact; else a sentence.

What a report does not need (initializers, regularizers, constraints: they act on training alone) is left out, so it need not import.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from reportgen.core.errors import ModelError
from reportgen.network.backend import keras, tf
from reportgen.network.error_text import shown_name
from reportgen.network.loading.legacy import operations

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
    **{f"ConvLSTM{rank}D": {"implementation": (0, 1, 2), "time_major": (False,)} for rank in (1, 2, 3)},
    **{f"SpatialDropout{rank}D": {"trainable": (True, False), "noise_shape": (None,)} for rank in (1, 2, 3)},
    "Discretization": {"trainable": (True, False)},
    "MultiHeadAttention": {"softmax_robust_masking": (False, None)},
    "Dense": {"input_dim": (None,), "input_length": (None,)},
    "Activation": {"input_dim": (None,)},
}  # fmt: skip
DROPPED_ANYWHERE: dict[str, tuple[Any, ...]] = {"rng_type": ("stateful", "stateless", "legacy_stateful", None)}
OWN_LAYERS: dict[str, tuple[str, Config, dict[str, str]]] = {
    # Functions of TensorFlow that Keras has as layers, by which a chain's end is known: the layer, its config, its words for arguments.
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
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
CONSTANT = "_CONSTANT_VALUE"  # Keras 2's word for an argument that is no tensor
INPUT_SHAPES = (
    "query_shape",
    "key_shape",
    "value_shape",
)  # of a MultiHeadAttention, which Keras 3 takes from the tensors
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
            nodes = _connected(layer["inbound_nodes"], names, inner)
            layer["inbound_nodes"] = [_with_tensors(call, layer["class_name"]) for call in nodes]
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
        calls = node["inbound_nodes"]
        connections = [calls[0]] if calls and _is_connection(calls[0]) else [*calls[0]]
        plain = all(_is_connection(connection) for connection in connections)
        if operations.function_named(function) is None or len(calls) != 1 or not plain:
            raise self._cannot(f"calls TensorFlow's `{shown_name(function)}` as a layer")
        tensors: list[Any] = []
        places = [_placed(connection, tensors) for connection in connections]
        given = (
            {} if len(connections[0]) < 4 else {key: value for key, value in connections[0][3].items() if key != "name"}
        )
        first, arguments = places[0] if len(places) == 1 else places, _placed(given, tensors)
        if not tensors:  # Keras 2 lost those behind a first argument that is none, as of `tf.einsum`
            raise self._cannot(f"calls TensorFlow's `{shown_name(function)}` on tensors that the file does not name")
        base = {key: value for key, value in node["config"].items() if key in ("name", "trainable", "dtype")}
        own = OWN_LAYERS.get(function)
        if own is not None and len(tensors) == 1 and arguments.keys() <= own[2].keys():
            more = {own[2][key]: value for key, value in arguments.items()}
            return {"class_name": own[0], "config": {**base, **own[1], **more}, "inbound_nodes": [tensors]}
        return {
            "class_name": operations.REGISTERED,
            "config": {**base, **{"function": function, "first": first, "arguments": arguments}},
            "inbound_nodes": [tensors],
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
        if kind == "Identity":
            config = {key: value for key, value in config.items() if key in ("name", "trainable", "dtype")}
        if old_kind == "RandomCrop":
            config["crop_to_aspect_ratio"] = True
            config.pop("seed", None)
        if kind == "Lambda":
            self._code(config)
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
        if kind == "MultiHeadAttention":
            for key in INPUT_SHAPES:
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
        if "theta" in config and kind == "ReLU":
            config["threshold"] = config.pop("theta")
        if kind == "GRU":
            config.setdefault("reset_after", False)  # before Keras 2.1 there was no other
        for key, value in config.items():
            if key.endswith("activation"):
                config[key] = self._activation(value)

    def _code(self, config: Config) -> None:
        """A Lambda's function and shape in Keras 3's form; whether they may run is asked elsewhere."""
        for key in ("function", "output_shape"):
            value, kind = config.get(key), config.pop(f"{key}_type", "raw")
            config.pop("module" if key == "function" else f"{key}_module", None)
            if kind == "lambda" and isinstance(value, list):
                code, defaults, closure = value
                inner = {"code": code, "defaults": defaults, "closure": closure}
                config[key] = {"class_name": "__lambda__", "config": inner}

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


def check_order(architecture: Any, model: Any, file: str) -> None:
    """Raise ModelError where Keras 3 counts the layers of `model` in another order than the file, in which weights are stored and read.

    architecture: mended.
    """
    config = architecture.get("config")
    if not isinstance(config, dict) or "layers" not in config:
        return
    own = {layer.name: layer for layer in model.layers}
    stated = [layer["config"]["name"] for layer in config["layers"] if layer["config"].get("name") in own]
    weighed = [name for name in stated if own[name].weights]
    if weighed != [layer.name for layer in model.layers if layer.weights and layer.name in weighed]:
        raise ModelError(
            f"{file} keeps the weights of its layers in an order that Keras 3 cannot follow; load it in the Keras that wrote it, "
            "and save weights and architecture from there into a model of Keras 3."
        )
    for layer in config["layers"]:
        if layer["class_name"] in MODELS and layer["config"].get("name") in own:
            check_order(layer, own[layer["config"]["name"]], file)


def with_modules(architecture: Any) -> Any:
    """The architecture of an HDF5 file, whose layers name their modules where Keras would read their arguments wrongly without.

    It drops an `axis` of several axes, without a word, and takes the word `dot` for a function.
    """
    if isinstance(architecture, list):
        return [with_modules(item) for item in architecture]
    if not isinstance(architecture, dict):
        return architecture
    made = {key: with_modules(value) for key, value in architecture.items()}
    kind, config = made.get("class_name"), made.get("config")
    if "module" in made or not isinstance(kind, str) or not isinstance(config, dict) or not hasattr(keras.layers, kind):
        return made
    axis = config.get("axis")
    if "score_mode" in config or (isinstance(axis, list) and len(axis) > 1):
        made |= {"module": "keras.layers", "registered_name": None}
    return made


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


def _placed(value: Any, tensors: list[Any]) -> Any:
    """An argument of a function with each connection in it put at the end of `tensors`, and a constant in its own place."""
    if _is_connection(value):
        if value[0] == CONSTANT:
            return value[2]
        tensors.append(value[:3])
        return {operations.TENSOR: len(tensors) - 1}
    if isinstance(value, dict):
        return {key: _placed(item, tensors) for key, item in value.items()}
    return [_placed(item, tensors) for item in value] if isinstance(value, list) else value


def _with_tensors(call: Any, kind: str) -> Any:
    """A call of a layer in Keras 3's form where arguments beside the first are tensors: from the older form it does not read those.

    Keras 2 listed the initial states of a recurrent layer behind what it reads.
    """
    if not isinstance(call, list) or not call:
        return call
    connections = [call] if _is_connection(call) else call
    given = dict(connections[0][3]) if _is_connection(connections[0]) and len(connections[0]) > 3 else {}
    recurrent = kind in RECURRENT and len(connections) > 1
    if not recurrent and not _holds_connection(given):
        return call
    first, *more = [_tensor(connection) for connection in connections]
    if recurrent:
        return {"args": [first], "kwargs": {**_tensor(given), "initial_state": more}}
    args = [[first, *more] if more else first]
    while given and next(iter(given)) == _parameter(
        kind, len(args)
    ):  # by place, as Keras 2 counted the layers that they come from
        args.append(_tensor(given.pop(next(iter(given)))))
    return {"args": args, "kwargs": _tensor(given)}


def _parameter(kind: str, place: int) -> str | None:
    """The name of the argument of a Keras layer's call at a place, counted from 0; None where there is none."""
    layer = getattr(keras.layers, kind, None)
    parameters = [] if layer is None else list(inspect.signature(layer.call).parameters)[1:]
    return parameters[place] if place < len(parameters) else None


def _tensor(value: Any) -> Any:
    """A value with each connection in it as Keras 3 writes a tensor. Of its shape and type nothing is read."""
    if _is_connection(value):
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": value[:3]},
        }
    if isinstance(value, dict):
        return {key: _tensor(item) for key, item in value.items()}
    return [_tensor(item) for item in value] if isinstance(value, list) else value


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
