"""The artefacts of a report: one module for each kind of thing that it shows of a layer or an image."""
