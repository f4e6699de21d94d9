"""Measurements of networks: their size, cost and structure."""
