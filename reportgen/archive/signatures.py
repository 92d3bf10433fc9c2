"""Detached signatures of an archive, checked by the tools that make them: minisign, GnuPG and OpenSSF model-signing."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reportgen.core.errors import UsageError


class Tool(StrEnum):
    """The program that checks a kind of signature."""

    MINISIGN = "minisign"
    GPG = "gpg"
    MODEL_SIGNING = "model_signing"


# Where `verify` looks for signatures: beside the archive, its whole name and one of these.
SUFFIXES = {
    ".minisig": Tool.MINISIGN,
    ".asc": Tool.GPG,
    ".sig": Tool.GPG,
    ".model.sig": Tool.MODEL_SIGNING,
}
SIGNATURE_STARTS = {b"untrusted comment:": Tool.MINISIGN, b"{": Tool.MODEL_SIGNING}  # anything else is of GnuPG
KEY_STARTS = {b"untrusted comment:": Tool.MINISIGN, b"-----BEGIN PUBLIC KEY": Tool.MODEL_SIGNING}
NO_KEY = b"[GNUPG:] NO_PUBKEY"  # in GnuPG's machine-readable status
GPG = (Tool.GPG, "--batch", "--status-fd", "1")
LONGEST = 300  # seconds: no check takes that long


@dataclass(frozen=True)
class Checked:
    """What became of a signature.

    Attributes:
        name: of its file.
        tool: that checks it.
        differences: why it does not hold; none where it does, or was not checked.
        note: why it was not checked; None where it was.
    """

    name: str
    tool: Tool
    differences: tuple[str, ...] = ()
    note: str | None = None


def beside(path: Path) -> list[Path]:
    """Return the signatures that lie beside an archive."""
    return [found for suffix in SUFFIXES if (found := path.with_name(path.name + suffix)).is_file()]


def check(path: Path, signature: Path, key: Path | None, *, required: bool) -> Checked:
    """Check a detached signature of an archive.

    Args:
        path: the archive.
        signature: the signature's file.
        key: the public key's file; None for the keys that GnuPG knows.
        required: whether the user asks for this signature, so that not checking it is an error.

    Raises:
        UsageError: the signature is required and cannot be checked here.
    """
    tool = _tool(signature, SIGNATURE_STARTS)

    def unchecked(why: str) -> Checked:
        if required:
            raise UsageError(f"the signature {signature.name} cannot be checked: {why}.")
        return Checked(signature.name, tool, note=f"the signature {signature.name} was not checked: {why}")

    if shutil.which(tool) is None:
        return unchecked(f"{tool} is not installed")
    if key is None and tool is not Tool.GPG:
        return unchecked(f"{tool} needs the public key: name it with --key")
    if key is not None and _tool(key, KEY_STARTS) is not tool:
        return unchecked(f"{key.name} is no key of {tool}")
    with tempfile.TemporaryDirectory() as home:
        for command in _commands(tool, path, signature, key, home):
            done = subprocess.run(command, capture_output=True, timeout=LONGEST, check=False)
            if done.returncode and NO_KEY in done.stdout:
                return unchecked(f"{tool} does not know the key: name it with --key")
            if done.returncode:
                said = (done.stderr or done.stdout).decode(errors="replace").split("\n")
                reason = next((line.strip() for line in reversed(said) if line.strip()), f"exit code {done.returncode}")
                return Checked(signature.name, tool, (f"the signature {signature.name} does not hold: {reason}",))
    return Checked(signature.name, tool)


def _tool(file: Path, starts: Mapping[bytes, Tool]) -> Tool:
    """The program that a signature or a key is of, by how its content begins, whatever its name."""
    try:
        with file.open("rb") as opened:
            content = opened.read(max(map(len, starts)))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    return next((tool for start, tool in starts.items() if content.startswith(start)), Tool.GPG)


def _commands(tool: Tool, path: Path, signature: Path, key: Path | None, home: str) -> Sequence[list[str]]:
    """The commands that check a signature, all of which must succeed; `home` is an empty folder."""
    archive, signed, public = str(path.resolve()), str(signature.resolve()), None if key is None else str(key.resolve())
    if tool is Tool.MINISIGN:
        return [[tool, "-V", "-q", "-m", archive, "-x", signed, "-p", str(public)]]
    if tool is Tool.MODEL_SIGNING:
        return [[tool, "verify", "key", archive, "--signature", signed, "--public_key", str(public)]]
    if public is None:
        return [[*GPG, "--verify", signed, archive]]
    own = [*GPG, "--homedir", home, "--trust-model", "always"]
    return [[*own, "--import", public], [*own, "--verify", signed, archive]]
