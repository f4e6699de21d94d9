"""The pages, as Markdown."""
