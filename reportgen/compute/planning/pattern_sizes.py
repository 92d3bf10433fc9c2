"""The size of each layer's patterns where the input leaves it open: one at which the network gets as far as the layer."""

from __future__ import annotations

from collections.abc import Mapping

from reportgen.core.errors import UsageError
from reportgen.core.settings import Settings
from reportgen.network.accepted_sizes import Size, next_size
from reportgen.network.contract import longest, measured
from reportgen.network.network import Network

FEW = 2  # sizes that are tried one by one: finding out whether any is accepted takes as many trials


def fitted(network: Network, wanted: Mapping[str, Size], settings: Settings) -> dict[str, Size]:
    """Return the sizes of patterns: those that are wanted, rounded up to the next at which an input gets as far as the layer.

    Args:
        network: the model.
        wanted: by layer path.
        settings: `size` is used.

    Returns:
        Sizes by layer path.

    Raises:
        UsageError: the size was stated and does not fit every layer.
    """
    contract, layer_calls = network.contract, network.by_path
    free = [length is None for length in contract.shape[:-1]]

    if not any(free) or _accepts_any(network, wanted, free):
        return dict(wanted)
    if settings.pattern_size is None:
        return {path: _next(network, free, [path], size) for path, size in wanted.items()}
    lost = [path for path, size in wanted.items() if not network.reaches(layer_calls[path], size)]
    if lost:
        size = wanted[lost[0]]
        found = _next(network, free, list(wanted), size)
        (length, *_) = (length for length, varies in zip(found, free, strict=True) if varies)
        more = "" if len(lost) == 1 else f" and {len(lost) - 1} more"
        raise UsageError(
            f"--size {settings.size}: an input of {measured(size)[0]} does not get as far as {lost[0]}{more}; "
            f"the next size that reaches every layer is {length}."
        )
    return dict(wanted)


def _accepts_any(network: Network, wanted: Mapping[str, Size], free: list[bool]) -> bool:
    """Whether the smallest size and its neighbour reach every layer: then no stride matters, and larger ones need not be tried."""
    sizes = set(wanted.values()) - {network.contract.size}
    if len(sizes) <= FEW:
        return False
    least = tuple(min(lengths) for lengths in zip(*sizes, strict=True))
    more = tuple(length + varies for length, varies in zip(least, free, strict=True))
    layer_calls = network.by_path
    return all(network.reaches(layer_calls[path], size) for size in (least, more) for path in wanted)


def _next(network: Network, free: list[bool], paths: list[str], size: Size) -> Size:
    """The next size that reaches all of `paths`; the images' own size does."""
    contract, layer_calls = network.contract, network.by_path

    def fits(one: Size) -> bool:
        return all(network.reaches(layer_calls[path], one) for path in paths)

    found = next_size(size, free, fits, longest(contract.rank), [contract.size])
    assert found is not None
    return found
