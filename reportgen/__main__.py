"""`python -m reportgen`."""

from reportgen.cli.main import main

if __name__ == "__main__":  # a process that Dask starts imports this module as well
    main(prog_name="reportgen")
