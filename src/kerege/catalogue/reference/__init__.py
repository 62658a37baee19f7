"""Reference datasets: made from what is harmonised, approved, published as files."""
