"""What can be asked: rows, tables, claims, recipes and runs. Standard library only."""
