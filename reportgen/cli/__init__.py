"""The command line: one module a command; the only place that prints errors and picks exit codes."""
