"""The loops: training and evaluation, and what they are made of."""
