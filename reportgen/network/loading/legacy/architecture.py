"""Architectures written by Keras 1 and 2, migrated to Keras 3 where that is exact; anything else is an error.

What a report does not need (initializers, regularizers, constraints: they act on training alone) is left out, so it need not import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reportgen.core.errors import ModelError
from reportgen.network.backend import keras
from reportgen.network.error_text import shown_name
from reportgen.network.loading.legacy import operations
from reportgen.network.loading.legacy.connections import connected, is_connection, placed, single, with_tensors
from reportgen.network.loading.legacy.tables import (
    ACTIVATIONS,
    ARGUMENTS,
    DATA_FORMATS,
    DROPPED,
    DROPPED_ANYWHERE,
    INPUT_SHAPES,
    MERGES,
    MODELS,
    OWN_LAYERS,
    RENAMED,
    RENORM,
    TRAINING_KEYS,
    Config,
)


def migrate(architecture: Any, version: int, file: str) -> Any:
    """Return an architecture as Keras 3 reads it; `architecture` itself is not changed.

    Args:
        architecture: parsed JSON of a model file.
        version: major version of the Keras that wrote it.
        file: name of the file, for messages.

    Raises:
        ModelError: something cannot be migrated exactly, or the architecture is damaged.
    """
    migration = _Migration(version, file)
    try:
        return migration.layer(architecture)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(
            f"{file} cannot be read as a Keras model (its architecture is damaged: {type(error).__name__}); save it again."
        ) from error


class _Migration:
    """The migration of one file, layer by layer."""

    def __init__(self, version: int, file: str) -> None:
        self.version, self.file = version, file

    def layer(self, node: Config) -> Config:
        """Migrate one layer or model, `node` as the file has it: its class, its config and, inside a Functional model, its connections."""
        old_kind, config = str(node["class_name"]), node["config"]
        kind = RENAMED.get(old_kind, old_kind)
        if kind == "Merge":
            kind, config = self._merge(config)
        migrated = {
            key: value for key, value in node.items() if key != "build_config"
        }  # Keras 3 builds when it connects
        migrated["class_name"] = kind
        if "module" in node:
            migrated["module"] = self._module(kind, node["module"])
        if kind == "Sequential":
            migrated["config"] = self._sequential(config)
        elif kind == "Functional":
            migrated["config"] = self._functional(config)
        else:
            migrated["config"] = self._arguments(kind, dict(config), old_kind)
        return migrated

    def _module(self, kind: str, module: Any) -> Any:
        """Return where Keras 3 has a class that a .keras file of Keras 2 names with its module."""
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
            nodes = connected(layer["inbound_nodes"], names, inner)
            layer["inbound_nodes"] = [with_tensors(call, layer["class_name"]) for call in nodes]
        return {
            "name": self._name(config.get("name", "model")),
            "trainable": config.get("trainable", True),
            "layers": layers,
            "input_layers": single(connected(config["input_layers"], names, set())),
            "output_layers": single(connected(config["output_layers"], names, inner - functional)),
        }

    def _operation(self, node: Config) -> Config:
        """Migrate a function of TensorFlow: its arguments, which Keras 2 kept beside the connections, become the layer's own."""
        function = node["config"]["function"]
        calls = node["inbound_nodes"]
        connections = [calls[0]] if calls and is_connection(calls[0]) else [*calls[0]]
        plain = all(is_connection(connection) for connection in connections)
        if operations.function_named(function) is None or len(calls) != 1 or not plain:
            raise self._cannot(f"calls TensorFlow's `{shown_name(function)}` as a layer")
        tensors: list[Any] = []
        first_arguments = [placed(connection, tensors) for connection in connections]
        given = (
            {} if len(connections[0]) < 4 else {key: value for key, value in connections[0][3].items() if key != "name"}
        )
        first = first_arguments[0] if len(first_arguments) == 1 else first_arguments
        arguments = placed(given, tensors)
        if not tensors:  # Keras 2 lost those after a first argument that is no tensor, as of `tf.einsum`
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
        """Return a layer's name without `/`, which Keras 3 does not allow."""
        return str(name).replace("/", "_")

    def _merge(self, config: Config) -> tuple[str, Config]:
        """Migrate Keras 1's Merge layer between tensors, by its mode."""
        mode = config.get("mode")
        kind = MERGES.get(mode) if isinstance(mode, str) and config.get("mode_type", "raw") == "raw" else None
        if kind is None or config.get("layers"):
            raise self._cannot(f"merges layers by `{shown_name(mode)}`")
        axis = {"axis": config.get("concat_axis", -1)} if kind == "Concatenate" else {}
        return kind, {"name": config["name"], **axis}

    def _arguments(self, kind: str, config: Config, old_kind: str) -> Config:
        """Return the config of a layer that is no model."""
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
        """Rename Keras 1's arguments in place."""
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
        """Remove arguments that Keras 3 no longer takes, where their values are what it does anyway."""
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
        """Rewrite values that Keras 3 takes in another form, in place."""
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
        """Rewrite a Lambda's function and shape in Keras 3's form; whether they may run is checked elsewhere."""
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
    """Check that Keras 3 orders the layers of `model` as the file does: weights are stored and read in that order.

    Args:
        architecture: migrated architecture of the file.
        model: what Keras 3 made of it.
        file: name of the file, for messages.

    Raises:
        ModelError: the orders differ.
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
    """Return the architecture of an HDF5 file with modules named for layers whose arguments Keras would otherwise read wrongly.

    Keras silently drops an `axis` of several axes, and takes the word `dot` for a function.
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
    """Return clean and unique names by the old ones; a name that is clean already stays as it is."""
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
