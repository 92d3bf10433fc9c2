"""Messages for files of which Keras makes no model: the innermost cause of its error, and the Keras that wrote the file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from reportgen.network.backend import keras
from reportgen.network.error_text import innermost_cause, one_line, shown_name

NOT_KERAS = "is not part of Keras; name the module that defines it with --import"
REMOVED = frozenset(
    {
        *(
            "LocallyConnected1D",
            "LocallyConnected2D",
            "CuDNNLSTM",
            "CuDNNGRU",
            "DenseFeatures",
            "MaxoutDense",
            "Highway",
        ),
        *(
            "TensorFlowOpLayer",
            "ClassMethod",
            "InstanceMethod",
            "InstanceProperty",
        ),  # functions of TensorFlow as layers
    }
)
REMOVED_ADVICE = (
    "put a layer of Keras 3 in its place where the model was made, or name a module that defines it with --import"
)
NAMELESS = "<lambda>"
UNKNOWN_NAMES = (
    r"Could not locate (?:class|function) '([^']+)'",
    r"Unknown layer: '?([\w>]+)",
    r"Could not deserialize '([\w.>]+)' because",
    r"Could not interpret (?:\w+ )+identifier: ([\w<>]+)$",
    r"Could not interpret (?:\w+ )+identifier: \{.*'class_name': '(\w+)'",
)
UNKNOWN_ARGUMENTS = (
    r"Unrecognized keyword arguments passed to (?P<kind>\w+): (?P<given>\{.*\})",
    r"(?P<kind>\w+)\.__init__\(\) got an unexpected keyword argument '(?P<name>\w+)'",
    r"(?P<kind>\w+)\.__init__\(\) got unexpected keyword arguments: (?P<given>\{.*\})",
)


def unreadable(name: str, why: str, written_by: str | None = None) -> str:
    """Return the message for a file that Keras cannot read.

    Args:
        name: of the file.
        why: the cause, without a period.
        written_by: the version of Keras that the file states.
    """
    why = why.rstrip(".")
    if _is_newer(written_by):
        return f"{name} cannot be read as a Keras model ({why}); {_newer(written_by)}."
    return f"{name} cannot be read as a Keras model ({why}); save it again with `model.save('model.keras')`."


def refusal(name: str, text: str, architecture: Any, written_by: str | None) -> str:
    """Return the message for an error of Keras.

    Args:
        name: of the file.
        text: of the error.
        architecture: of the file, parsed JSON.
        written_by: the version of Keras that the file states.
    """
    cause = innermost_cause(text)
    for pattern in UNKNOWN_NAMES:
        if (missing := re.search(pattern, cause, re.MULTILINE)) is not None:
            return _missing(name, missing[1], architecture, written_by)
    for pattern in UNKNOWN_ARGUMENTS:
        if (found := re.search(pattern, cause, re.DOTALL)) is not None:
            return _unknown_arguments(name, found, architecture, written_by)
    return unreadable(name, one_line(cause), written_by)


def unknown_name(name: str, missing: object, module: object, written_by: str | None) -> str:
    """Return the message for a class or function that a file names and that is not found.

    Args:
        name: of the file.
        missing: the class or function.
        module: where the file says that it is defined.
        written_by: the version of Keras that the file states.
    """
    needs = f"{name} needs `{shown_name(missing)}`, which"
    if missing in REMOVED:
        return f"{needs} was part of Keras 2 and is not part of Keras 3; {REMOVED_ADVICE}."
    if not _is_newer(written_by):
        return f"{needs} {NOT_KERAS}."
    if str(module).partition(".")[0] == "keras":
        return f"{needs} Keras {keras.__version__} does not have; {_newer(written_by)}."
    return f"{needs} {NOT_KERAS}. If a newer Keras has it: {_newer(written_by)}."


def _missing(name: str, missing: str, architecture: Any, written_by: str | None) -> str:
    place, _, short = missing.rpartition(".")
    if short == NAMELESS:
        layer = next(
            (_described(part) for part in _objects(architecture) if NAMELESS in _texts(part["config"])), "a layer"
        )
        return (
            f"{name} needs a function without a name ({NAMELESS}) in its {layer}, which the file does not contain; "
            "give the function a name, save the model again, and name the module that defines it with --import."
        )
    modules = [part.get("module") for part in _objects(architecture) if part["class_name"] == short]
    return unknown_name(name, short, place or next(iter(modules), None), written_by)


def _unknown_arguments(name: str, found: re.Match[str], architecture: Any, written_by: str | None) -> str:
    kind, groups = found["kind"], found.groupdict()
    names = [groups["name"]] if groups.get("name") else _keys(groups["given"])
    holding = [
        part for part in _objects(architecture) if _class_of(part) == kind and set(names) & part["config"].keys()
    ]
    layer = _described(holding[0]) if holding else f"{kind} layer"
    given = " and ".join(f"`{shown_name(item)}`" for item in names)
    what = f"{name} gives its {layer} the argument{'s' if len(names) > 1 else ''} {given}"
    if hasattr(keras.layers, kind):
        what = f"{what}, which Keras {keras.__version__} does not know"
        if written_by is None:
            return f"{what}; load it in the Keras that wrote it, and save it there without {'them' if len(names) > 1 else 'it'}."
        return f"{what}; {_newer(written_by) if _is_newer(written_by) else f'it was written by Keras {written_by}: load it there'}."
    return f"{what}, which the class does not take; let its `__init__` take `**kwargs` and hand them to its base class."


def _keys(given: str) -> list[str]:
    """Return the keys of a printed dict, also of one whose values Python cannot read back."""
    try:
        return [str(key) for key in ast.literal_eval(given)]
    except (ValueError, SyntaxError):
        return re.findall(r"[{,] ?'(\w+)':", given)[:1]


def _newer(written_by: str | None) -> str:
    return f"it was written by Keras {written_by}: install that version, or save the model again with Keras {keras.__version__}"


def _is_newer(written_by: str | None) -> bool:
    return written_by is not None and _numbers(written_by) > _numbers(keras.__version__)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _class_of(part: dict[str, Any]) -> str:
    return str(part["class_name"]).rpartition(">")[2]


def _described(part: dict[str, Any]) -> str:
    name = part["config"].get("name")
    return f"{shown_name(_class_of(part))} layer" + (f" `{shown_name(name)}`" if name else "")


def _texts(config: dict[str, Any]) -> list[str]:
    """Return the texts that stand directly in a config or in a function that it names."""
    inner = [value.get("config") for value in config.values() if isinstance(value, dict)]
    return [value for value in (*config.values(), *inner) if isinstance(value, str)]


def _objects(architecture: Any) -> Iterator[dict[str, Any]]:
    """Yield every object with a class and a config, outer before inner."""
    waiting = [architecture]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "class_name" in node and isinstance(node.get("config"), dict):
                yield node
            node = list(node.values())
        if isinstance(node, list):
            waiting.extend(item for item in reversed(node) if isinstance(item, (dict, list)))
