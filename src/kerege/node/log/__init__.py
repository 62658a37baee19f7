"""The message log of a running node: written together, kept as long as is asked, found again."""
