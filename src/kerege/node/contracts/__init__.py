"""Data first on the wire: translation and contract checks of what passes."""
