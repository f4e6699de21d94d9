"""Results as they are on disk."""
