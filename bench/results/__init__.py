"""What was found, as it lies on disk."""
