"""Finding the records of one person among many: definitions, Splink in bulk, trained models, explained weights.

definition  what meets, what is compared, thresholds: the country's file
bulk        two tables linked by Splink on DuckDB (imported there only)
model       what training gave, as a value
weights     one pair weighed and explained, without Splink
"""
