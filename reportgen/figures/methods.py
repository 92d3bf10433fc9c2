"""The methods paragraph of the figures: what was computed, with which settings and versions, and what it was compared with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.optimization_method import sentence
from reportgen.core import __version__
from reportgen.core.choices import Method, Preprocess
from reportgen.core.paper import FigureKind
from reportgen.figures.latex import escaped
from reportgen.figures.references import TOOL
from reportgen.figures.source import Facts
from reportgen.render.text import count, plural, stated
from reportgen.render.wording import resizing

OF_PATTERNS = {FigureKind.PATTERNS, FigureKind.MINIMAL}
SHA_DIGITS = 12
CITED = re.compile(r"\[@([a-z0-9,]+)\]")  # the works that a passage of plain text cites


def paragraph(facts: Facts, kinds: set[FigureKind], layers: Sequence[LayerEntry]) -> str:
    """Return the paragraph in plain text, works cited as `[@key]` or `[@key,key]`.

    Args:
        facts: of the report.
        kinds: of the figures.
        layers: that they are of.
    """
    model, versions = facts.model, facts.environment
    sentences = [
        f"All figures were made from the trained weights of the model {model.name} ({count(model.parameters)} parameters; SHA-256 of the "
        f"weights {model.weights_sha256[:SHA_DIGITS]}…) with reportgen {__version__} [@{TOOL}], Keras {versions.get('keras', '?')} "
        f"[@chollet2015keras], TensorFlow {versions.get('tensorflow', '?')} [@abadi2016tensorflow] and Matplotlib "
        f"[@hunter2007matplotlib], on {versions.get('device', 'an unknown device')}."
    ]
    if kinds & OF_PATTERNS:
        sentences += _patterns(facts, layers)
    if kinds & {FigureKind.MAPS, FigureKind.OVERVIEW}:
        sentences.append(
            "Feature maps are the outputs of a layer's filters after normalization and activation function, where these alone follow "
            f"it; {resizing(facts.input).replace(' are ', ' were ', 1)}{_preprocessing(facts)}."
        )
    if FigureKind.EXEMPLARS in kinds and facts.dataset is not None:
        sentences.append(
            f"Every filter was measured on {plural(facts.dataset.images, 'image')} of the data set {facts.dataset.source} "
            f"(SHA-256 of names, contents and labels {facts.dataset.sha256[:SHA_DIGITS]}…). Its exemplars are the images with the largest "
            "peaks of its map, of images with the same pixels one, cut by the exact receptive field of the peak; such maxima show what a "
            "filter can find, not what it usually responds to [@borowski2021exemplary]."
        )
    if FigureKind.NETWORK in kinds:
        sentences.append("The architecture is drawn in the visual grammar of Net2Vis [@bauerle2021net2vis].")
    return " ".join(sentences)


def _preprocessing(facts: Facts) -> str:
    """What is done to images before the model is fed them."""
    name = facts.input.preprocess
    if not facts.input.is_picture or name == Preprocess.NONE:
        return (
            f" and fed with values from {stated(facts.input.low)} to {stated(facts.input.high)}"
            if facts.input.is_picture
            else ""
        )
    if name == Preprocess.UNIT:
        return " and divided by 255"
    known = name in tuple(Preprocess)
    return f" and preprocessed {f'in mode {name} of keras.applications' if known else f'by {name}'}"


def _patterns(facts: Facts, layers: Sequence[LayerEntry]) -> list[str]:
    """The method, the seed, and what patterns were compared with."""
    records = [layer.patterns for layer in layers if layer.patterns is not None]
    if not records:
        return []
    record = records[0]
    keras = record.recipe.get("method") == Method.KERAS_IO
    works = "erhan2009visualizing,chollet2020visualizing" if keras else "erhan2009visualizing,olah2017feature"
    found = [f"For each filter an input was optimized to maximize its activation [@{works}]."]
    recipe = {name: value for name, value in record.recipe.items() if name not in ("batch", "planned_batch")}
    bands = facts.input.bands
    words = sentence(recipe, bands=bands, rank=facts.input.rank)
    if words is not None:
        adam = " [@kingma2015adam]" if str(recipe.get("optimizer", "")).lower() == "adam" else ""
        found.append(words.replace("Adam,", f"Adam{adam},", 1))
    found.append(f"Every random number was drawn with seed {facts.settings.get('seed', 0)}.")
    found.append(
        "Every finished image was quantized to 8 bits and measured with the unmodified model"
        if facts.input.is_picture
        else "Every finished input was measured with the unmodified model"
    )
    if record.natural_crops is not None:
        found[-1] += f", and compared with the largest response to {plural(record.natural_crops, 'natural input')}"
    found[-1] += "."
    found.append(
        "Such an image shows one stimulus that excites a filter, not the filter's role in the network "
        "[@borowski2021exemplary,geirhos2024dont]."
    )
    return found


def cited(text: str) -> list[str]:
    """Return the keys of the works that a paragraph cites."""
    return [key for keys in CITED.findall(text) for key in keys.split(",")]


def as_latex(text: str) -> str:
    """Return a paragraph as LaTeX."""
    parts = CITED.split(text)  # text, keys, text, …
    out = "".join(rf"\cite{{{part}}}" if place % 2 else escaped(part) for place, part in enumerate(parts))
    return out.replace(r" \cite", r"~\cite")
