"""The catalogue for pages: lists a page at a time, and who uses what."""
