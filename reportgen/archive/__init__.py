"""A finished report as one verifiable file: what it contains, what is said of it for those who file it, and the check of all that."""
