"""Static, honest, reproducible reports of what a Keras convolutional network's filters look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reportgen.core.version import __version__

if TYPE_CHECKING:
    from reportgen.api import LayerPatterns, build, patterns
    from reportgen.pipeline import Built

__all__ = ["Built", "LayerPatterns", "__version__", "build", "patterns"]


def __getattr__(name: str) -> Any:
    """`reportgen.build`, `reportgen.patterns` and their results' classes, imported when first asked for: TensorFlow takes seconds."""
    if name in ("build", "patterns", "Built", "LayerPatterns"):
        from reportgen import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
