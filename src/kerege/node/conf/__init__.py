"""The global configuration: fetched, verified, kept on disk, and the picture of it that decisions use."""
