"""Every failure the tool can name: one sentence that says what is wrong and what to do, and the exit code it means."""

from collections.abc import Sequence

EXIT_UNEXPECTED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_GATE = 4
EXIT_UNVERIFIED = 5
EXIT_INTERRUPTED = 130


class ReportgenError(Exception):
    """A failure with a sentence for the user. Raised anywhere, printed only by the command line."""

    exit_code = EXIT_USAGE


class UsageError(ReportgenError):
    """An option or a combination of options that cannot be meant."""


class ModelError(ReportgenError):
    """A model that cannot be found, read, trusted or walked."""


class ImageError(ReportgenError):
    """An image that cannot be found, read or fitted to the model's input."""


class OutputError(ReportgenError):
    """An output folder that is not ours or cannot be written."""


class StoreError(ReportgenError):
    """A stored task that is missing or damaged: to be computed again."""


class VerificationError(ReportgenError):
    """A report that is not what it states, or not the given model's."""

    exit_code = EXIT_UNVERIFIED


class GateError(ReportgenError):
    """A gate that failed, or whose value is not known."""

    exit_code = EXIT_GATE


FEW_NAMES = 8  # more than these nobody reads in a sentence


def few(names: Sequence[str], most: int = FEW_NAMES) -> str:
    """The first of `names` and how many more there are: `conv1, conv2 and 17 more`."""
    left = len(names) - most
    return ", ".join(names) if left <= 0 else f"{', '.join(names[:most])} and {left} more"
