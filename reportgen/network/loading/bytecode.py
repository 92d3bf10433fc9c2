"""Python bytecode in a model file: whether this version of Python can run it, checked before Keras does where the user allows it.

Bytecode runs only on the version that compiled it and does not state which: another one refuses it, crashes or computes something else.
"""

from __future__ import annotations

import binascii
import codecs
import dis
import marshal
import platform
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

CODE = "__lambda__"  # Keras's class name for marshalled code
CACHES: Any = getattr(dis, "_inline_cache_entries", {})  # by number in Python 3.11 and 3.12, by name since 3.13


def foreign_code(part: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the code of a layer or function, a JSON object of an architecture; None where it can run here."""
    if all(_runs_here(text) for text in _texts(part)):
        return None
    here = f"this is Python {platform.python_version()}"
    return f"holds Python code that another version of Python compiled (which one the file does not state; {here})"


def _texts(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the marshalled functions of an object, as the file has them."""
    config = part.get("config")
    if not isinstance(config, dict):
        return
    found = [config] if part.get("class_name") == CODE else []
    if part.get("class_name") == "Lambda":
        values = [config.get("function"), config.get("output_shape")]
        found += [
            value["config"] for value in values if isinstance(value, dict) and isinstance(value.get("config"), dict)
        ]
        for value in values:  # Keras 2: code, defaults, closure
            if isinstance(value, list) and value and isinstance(value[0], str):
                yield value[0]
    for item in found:
        if isinstance(item.get("code"), str):
            yield item["code"]


def _runs_here(text: str) -> bool:
    """Return whether a marshalled function can run on this version of Python."""
    try:
        try:
            raw = codecs.decode(text.encode("ascii"), "base64")
        except (UnicodeEncodeError, binascii.Error):  # as before Keras 2.0.6
            raw = text.encode("raw_unicode_escape")
        code = marshal.loads(raw)
    except Exception:
        return False
    return isinstance(code, CodeType) and _is_of_this_python(code, raw)


def _is_of_this_python(code: CodeType, raw: bytes) -> bool:
    """Return whether `code`, unmarshalled from `raw`, has only instructions of this version, each with as many caches as it has here.

    On reading, Python clears what it takes for caches: code of another version then differs from `raw`.
    """
    names, position = [], 0
    while position < len(code.co_code):
        number = code.co_code[position]
        names.append(dis.opname[number])
        caches = CACHES.get(names[-1], 0) if isinstance(CACHES, dict) else CACHES[number]
        position += 2 * (1 + caches)
    foreign = "CACHE" in names or any(name.startswith("<") for name in names)
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return (
        not foreign
        and "RESUME" in names  # every function begins with it
        and code.co_code in raw
        and all(_is_of_this_python(each, raw) for each in inner)
    )
