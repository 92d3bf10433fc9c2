"""An archive of reports on one page: what each release is, and what changed from one to the next. Without TensorFlow."""
