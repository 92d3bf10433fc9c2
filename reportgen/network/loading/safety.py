"""Which classes and functions a model file may have deserialized: only Keras's own and the user's, never code from the file.

An architecture is JSON that names classes and functions. Keras creates them by name, and some of them execute code or read other files:
every name is checked here before Keras sees it, by what is allowed, not by what is known to be dangerous.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from reportgen.core.errors import ModelError
from reportgen.network.backend import keras
from reportgen.network.error_text import shown_name
from reportgen.network.loading.bytecode import foreign_code
from reportgen.network.loading.load_errors import unknown_name

CODE_CLASSES = frozenset(
    {
        *("Lambda", "__lambda__"),  # marshalled Python
        *(
            "TFSMLayer",
            "TorchModuleWrapper",
            "JaxLayer",
            "FlaxLayer",
        ),  # programs of other frameworks, some of them pickled
    }
)
PLAIN_CLASSES = frozenset(  # values that JSON cannot express
    {
        *(
            "__keras_tensor__",
            "__tensor__",
            "__numpy__",
            "__bytes__",
            "__ellipsis__",
            "__slice__",
            "__tuple__",
            "__complex__",
        ),
        *("TensorShape", "Policy", "PolicyV1"),
    }
)
KERAS_PLACES = ("layers", "models", "initializers", "regularizers", "constraints", "dtype_policies", "quantizers")
FUNCTION_PLACES = ("activations", "ops", "initializers", "regularizers", "constraints", "losses", "metrics")
EXTENSIONS = frozenset(
    {"keras_hub", "keras_cv", "keras_nlp"}
)  # packages that Keras itself imports when a file names them
FILE_KEYS = frozenset({"vocabulary", "idf_weights"})  # a text under these is the path of a file that Keras would read
DEEPEST = 256  # levels of JSON; a nested model takes five


def check(
    architecture: Any, file: str, own: Mapping[str, Any], allow_unsafe: bool, written_by: str | None = None
) -> None:
    """Check that an architecture needs nothing but Keras's own classes and functions, registered ones, and the user's.

    Args:
        architecture: parsed JSON of a model file.
        file: its name, for messages.
        own: the user's classes and functions by name.
        allow_unsafe: the file's author is trusted; then only missing names are errors.
        written_by: the version of Keras that the file states.

    Raises:
        ModelError: a name is missing or not allowed.
    """
    registered = {**keras.saving.get_custom_objects(), **own}
    for part in parts(architecture, file):
        if not allow_unsafe:
            _refuse_files(part, file)
        kind = part.get("class_name")
        if kind is None:
            continue
        if not isinstance(kind, str):
            raise ModelError(f"{file} cannot be read as a Keras model (a class is named by {shown_name(kind)}).")
        if kind in CODE_CLASSES:
            if not allow_unsafe and not _names_own_function(part, registered):
                raise ModelError(
                    f"{file} contains Python code ({_code_name(part, kind)}) that would run on loading; "
                    "add --allow-unsafe if you trust where it comes from."
                )
            if allow_unsafe and (foreign := foreign_code(part)) is not None:
                raise ModelError(
                    f"{file}: its {_code_name(part, kind).removeprefix('a ')} {foreign}; create the report with that Python, "
                    "or load the model there, put a layer without code in its place, and save it again."
                )
        elif kind == "function":
            _check_function(part, file, registered, written_by)
        elif kind in registered or part.get("registered_name") in registered:
            _check_own(part, kind, file, registered)
        elif kind not in PLAIN_CLASSES and not _is_keras_class(kind, part.get("module")):
            raise ModelError(unknown_name(file, kind, part.get("module"), written_by))


def parts(architecture: Any, file: str) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in an architecture, outer before inner, in the order of the file.

    Args:
        architecture: parsed JSON of a model file.
        file: its name, for messages.

    Raises:
        ModelError: it is nested too deeply.
    """
    waiting: list[tuple[Any, int]] = [(architecture, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise ModelError(f"{file} describes its network in more than {DEEPEST} levels; it is not loaded.")
        if isinstance(node, dict):
            yield node
            node = list(node.values())
        if isinstance(node, list):
            waiting.extend((item, depth + 1) for item in reversed(node) if isinstance(item, (dict, list)))


def _refuse_files(part: dict[str, Any], file: str) -> None:
    """Check that an object names no other file to be read."""
    for key in FILE_KEYS & part.keys():
        if isinstance(part[key], str) and part[key]:
            raise ModelError(
                f"{file} would read another file on loading (`{key}`: {shown_name(part[key])}); "
                "add --allow-unsafe if you trust where it comes from."
            )


def _check_own(part: dict[str, Any], kind: str, file: str, registered: Mapping[str, Any]) -> None:
    """Check that a name used as a class is one: a function would be called with values from the file."""
    item = registered.get(str(part.get("registered_name")), registered.get(kind))
    if not inspect.isclass(item):
        raise ModelError(f"{file} names `{shown_name(kind)}` as a layer, which is a function; it is not loaded.")


def _check_function(part: dict[str, Any], file: str, registered: Mapping[str, Any], written_by: str | None) -> None:
    """Check that a function is registered or one of Keras's own."""
    name, module = part.get("config"), part.get("module")
    if name in registered or (isinstance(name, str) and any(key.endswith(f">{name}") for key in registered)):
        return
    places = FUNCTION_PLACES if module in (None, "builtins") else [str(module).removeprefix("keras.").partition(".")[0]]
    known = module in (None, "builtins") or str(module).startswith("keras.")
    if not known or not any(place in FUNCTION_PLACES and hasattr(getattr(keras, place), str(name)) for place in places):
        raise ModelError(unknown_name(file, name, module, written_by))


def _is_keras_class(name: str, module: object) -> bool:
    """Return whether a class is one that Keras itself creates by this name."""
    if module is None:
        return name == "Functional" or any(_is_class(getattr(keras, place), name) for place in KERAS_PLACES)
    package, *inner = str(module).split(".")
    if package != "keras" or "src" in inner:
        return (
            package == "keras" or package in EXTENSIONS
        )  # Keras creates nothing from these but its own kinds of objects
    place: Any = keras
    for part in inner:
        place = getattr(place, part, None)
    return place is None or not hasattr(place, name) or _is_class(place, name)


def _is_class(place: Any, name: str) -> bool:
    return inspect.isclass(getattr(place, name, None))


def _names_own_function(part: dict[str, Any], registered: Mapping[str, Any]) -> bool:
    """Return whether this is a Lambda layer around one of the user's functions: then the file has no code, only the name."""
    inner = part.get("config")
    if part.get("class_name") != "Lambda" or not isinstance(inner, dict):
        return False
    function = inner.get("function")
    if isinstance(function, dict) and function.get("class_name") == "function":
        function = function.get("config")
    shape = inner.get("output_shape")
    return isinstance(function, str) and function in registered and not isinstance(shape, (str, dict))


def _code_name(part: dict[str, Any], kind: str) -> str:
    inner = part.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    kind = "Lambda" if kind == "__lambda__" else kind
    return f"{kind} layer `{shown_name(name)}`" if name else f"a {kind} layer"


FUNCTION_KEYS = ("activation", "function", "initializer", "regularizer", "constraint")


def functions_named(architecture: Any, file: str) -> set[str]:
    """Return the names that an architecture uses where a function may stand.

    Args:
        architecture: parsed JSON of a model file.
        file: its name, for messages.
    """
    named: set[str] = set()
    for part in parts(architecture, file):
        named.update(value for key, value in part.items() if isinstance(value, str) and key.endswith(FUNCTION_KEYS))
        if part.get("class_name") == "function" and isinstance(part.get("config"), str):
            named.add(part["config"])
    return named


def drop_training(architecture: Any, file: str) -> bool:
    """Remove losses, optimizers and metrics, in place: a report needs none, so they need not import.

    Args:
        architecture: parsed JSON of a model file.
        file: its name, for messages.

    Returns:
        Whether an inner model had any; Keras itself ignores those of the outermost model.
    """
    found = [part.pop("compile_config", None) is not None for part in parts(architecture, file)]
    return any(found[1:])
