"""Renders the report as HTML, Markdown and terminal tables."""
