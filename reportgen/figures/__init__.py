"""Figures for papers: vector text around pixels as they are stored, drawn with Matplotlib; nothing here reads or writes a report."""
