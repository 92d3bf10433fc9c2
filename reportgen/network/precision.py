"""The precision of a trace: bfloat16 where the processor has instructions for it; the model itself keeps its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from reportgen.network.backend import gpu_details, keras

CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
TENSOR_CORES = (8, 0)  # the first compute capability with bfloat16 arithmetic


@cache
def has_bfloat16() -> bool:
    """Return whether this machine computes convolutions in bfloat16 faster than in float32."""
    gpus = gpu_details()
    if gpus:
        return tuple(gpus[0].get("compute_capability", (0, 0))) >= TENSOR_CORES
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(CPU_FLAGS & set(line.split()) for line in text.splitlines() if line.startswith("flags"))


@contextmanager
def bfloat16(layers: Collection[Any]) -> Iterator[None]:
    """Let `layers` that compute in float32 compute in bfloat16 while the block runs; their variables stay float32."""
    policy = keras.DTypePolicy("mixed_bfloat16")
    changed = [layer for layer in layers if layer.compute_dtype == "float32" and "_dtype_policy" in layer.__dict__]
    originals = [layer.__dict__["_dtype_policy"] for layer in changed]
    try:
        for layer in changed:
            layer.__dict__["_dtype_policy"] = policy
        yield
    finally:
        for layer, original in zip(changed, originals, strict=True):
            layer.__dict__["_dtype_policy"] = original
