"""The document as HTML, Markdown and terminal tables."""
