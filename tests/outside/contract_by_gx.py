"""Run by Great Expectations' own Python: the same questions of the same table; prints the unexpected counts as JSON."""

import json
import os
import sys

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import great_expectations.expectations as ask
import pandas

frame = pandas.read_parquet(sys.argv[1])
context = gx.get_context(mode="ephemeral")
batch = context.data_sources.add_pandas("p").add_dataframe_asset("t").add_batch_definition_whole_dataframe("b")
asked = {
    "pin required": ask.ExpectColumnValuesToNotBeNull(column="pin"),
    "pin unique": ask.ExpectColumnValuesToBeUnique(column="pin"),
    "pin pattern": ask.ExpectColumnValuesToMatchRegex(column="pin", regex="^[12][0-9]{13}$"),
    "sex required": ask.ExpectColumnValuesToNotBeNull(column="sex"),
    "sex validValues": ask.ExpectColumnValuesToBeInSet(column="sex", value_set=["1", "2"]),
    "surname minLength": ask.ExpectColumnValueLengthsToBeBetween(column="surname", min_value=2),
    "surname maxLength": ask.ExpectColumnValueLengthsToBeBetween(column="surname", max_value=40),
    "grade minimum": ask.ExpectColumnValuesToBeBetween(column="grade", min_value=0),
    "grade maximum": ask.ExpectColumnValuesToBeBetween(column="grade", max_value=11),
    "share maximum": ask.ExpectColumnValuesToBeBetween(column="share", max_value=100),
    "note required": ask.ExpectColumnValuesToNotBeNull(column="note"),
}
suite = context.suites.add(gx.ExpectationSuite(name="s", expectations=list(asked.values())))
found = batch.get_batch({"dataframe": frame}).validate(suite)
out = {}
for result in found.results:
    config = result.expectation_config
    name = next(n for n, e in asked.items() if e.expectation_type == config.type and all(
        config.kwargs.get(k) == v for k, v in e.configuration.kwargs.items()))  # fmt: skip
    out[name] = result.result["unexpected_count"]
print("RESULT " + json.dumps(out))
