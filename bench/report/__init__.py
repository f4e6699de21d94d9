"""Reports only read: rows and measurements in, Markdown, CSV and pictures out."""
