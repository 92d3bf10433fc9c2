"""What every other package shares: options, settings, records, the store, errors, verdicts. Imports nothing else of ours."""

__version__ = "0.1.0"
DISTRIBUTION = "keras-filter-report"  # what pip installs; `reportgen` on PyPI is another project
