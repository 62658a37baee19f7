"""The engines a mapping runs on, behind one `door`: Python, DuckDB, Polars, PostgreSQL, Spark, with the same cells."""
