"""The commands, and which of them take an option."""

from __future__ import annotations

from enum import StrEnum


class Command(StrEnum):
    """The commands, of which each module in `cli` is one."""

    BUILD = "build"
    SURVEY = "survey"
    LAYERS = "layers"
    PLAN = "plan"
    ASSEMBLE = "assemble"
    ARCHIVE = "archive"
    VERIFY = "verify"
    FIGURES = "figures"
    COMPARE = "compare"
    INDEX = "index"


OF_MODELS = (Command.BUILD, Command.SURVEY, Command.LAYERS, Command.PLAN)  # commands that load a model
OF_OPENED_MODELS = (*OF_MODELS, Command.VERIFY)  # commands that load one and may run code or read files for it
OF_PAGES = (Command.BUILD, Command.SURVEY, Command.ASSEMBLE, Command.PLAN)  # commands that write pages
OF_RUNS = (Command.BUILD, Command.SURVEY, Command.PLAN)  # commands that compute, or say what would be computed
OF_FIGURES = (Command.FIGURES,)
OF_FILES = (*OF_PAGES, Command.FIGURES, Command.ARCHIVE, Command.COMPARE, Command.INDEX)  # commands that write files
OF_GATES = (
    Command.BUILD,
    Command.SURVEY,
    Command.ASSEMBLE,
    Command.VERIFY,
    Command.COMPARE,
)  # commands that end with a report or a comparison
EVERYWHERE = tuple(Command)
