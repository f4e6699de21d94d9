"""The pages as one HTML document."""
