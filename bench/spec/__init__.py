"""Rows, tables, claims, recipes and runs that can be requested. Standard library only."""
