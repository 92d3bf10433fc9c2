"""Static, honest, reproducible reports of what a Keras convolutional network's filters look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from reportgen.api import LayerPatterns, patterns

__all__ = ["LayerPatterns", "__version__", "patterns"]


def __getattr__(name: str) -> Any:
    """`reportgen.patterns` and its result's class, imported when first asked for: TensorFlow takes seconds."""
    if name in ("patterns", "LayerPatterns"):
        from reportgen import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
