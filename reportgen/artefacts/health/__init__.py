"""What model health needs to know of each layer: statistics of kernels, normalization, maps and verdicts, in one record."""
