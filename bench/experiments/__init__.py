"""Recipes and runs, those beyond the paper's own included. Data and pure functions: nothing here reads or trains."""
