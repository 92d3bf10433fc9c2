"""Static, honest, reproducible reports of what a Keras convolutional network's filters look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reportgen.core import __version__

if TYPE_CHECKING:
    from reportgen.api import LayerPatterns, build, patterns
    from reportgen.callback import ReportCallback
    from reportgen.pipeline import Built
    from reportgen.report.opened import Report

    open = Report.open

__all__ = ["Built", "LayerPatterns", "Report", "ReportCallback", "__version__", "build", "open", "patterns"]


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for: TensorFlow takes seconds, and opening a report needs none of it."""
    if name in ("open", "Report"):
        from reportgen.report.opened import Report

        return Report.open if name == "open" else Report
    if name in ("build", "patterns", "Built", "LayerPatterns"):
        from reportgen import api

        return getattr(api, name)
    if name == "ReportCallback":
        from reportgen.callback import ReportCallback

        return ReportCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
