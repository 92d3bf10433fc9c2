"""The precision of a trace: bfloat16 where the processor computes faster in it; the model itself keeps its own."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from reportgen.network.backend import gpu_details, keras

# Instructions for bfloat16, the fastest first. Processors that have both are slower in bfloat16 than in float32 with the second alone.
MATRICES, VECTORS = "amx_bf16", "avx512_bf16"
# What oneDNN is limited to: the first one given counts.
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
TENSOR_CORES = (8, 0)  # the first compute capability with bfloat16 arithmetic


@cache
def has_bfloat16() -> bool:
    """Return whether this machine computes convolutions in bfloat16 faster than in float32.

    This follows from what the machine is, and from how the environment limits TensorFlow's convolutions, so that it is the same in every
    run and in every worker.
    """
    gpus = gpu_details()
    if gpus:
        return tuple(gpus[0].get("compute_capability", (0, 0))) >= TENSOR_CORES
    flags = _cpu_flags()
    fastest = next((flag for flag in (MATRICES, VECTORS) if flag in flags), None)
    return fastest is not None and _onednn_uses(fastest)


def _cpu_flags() -> frozenset[str]:
    """What the processor can do, as Linux names it; nothing where that cannot be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(flag for line in lines if line.startswith("flags") for flag in line.split())


def _onednn_uses(flag: str) -> bool:
    """Whether the environment leaves oneDNN on, and these instructions to it."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() in ("0", "false"):
        return False
    limit = next((os.environ[name] for name in LIMITS if os.environ.get(name)), "").upper()
    if not limit.startswith(("SSE", "AVX")) or "AMX" in limit:
        return True
    return flag == VECTORS and limit.startswith(("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX10"))


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
