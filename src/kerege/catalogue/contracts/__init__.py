"""Data contracts: drafted, kept by version, held against data at rest, deprecated with a clock, retired."""
