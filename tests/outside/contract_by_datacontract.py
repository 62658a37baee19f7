"""Run by datacontract-cli's own Python: hold the contract named against its table and print what was counted, as JSON."""

import json
import sys

from datacontract.data_contract import DataContract

run = DataContract(data_contract_file=sys.argv[1], server="local").test()
print("RESULT " + json.dumps([{
    "type": c.type, "field": c.field, "name": c.name, "result": str(c.result), "reason": c.reason, "diagnostics": c.diagnostics,
} for c in run.checks], default=str))  # fmt: skip
