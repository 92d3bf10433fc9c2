"""What every other package shares: settings, records, the store, errors, verdicts. Imports nothing else of ours."""
