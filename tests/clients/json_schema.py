# SPDX-License-Identifier: Apache-2.0
"""Compares what vsctl wrote with docs/schema.

Reads one JSON object a line from standard input: "schema" (path of a file), "name" (for messages) and "value". A key that
a schema does not have is an error here, though it is none for readers. Prints what differs; the exit status is 1 then.
"""

import json
import sys

from jsonschema import Draft202012Validator


def strict(schema):
    """The same schema, which allows no other keys."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    # What has keys of its own beside those of one of several forms: neither part knows the keys of the other.
    if "properties" in schema and "oneOf" in schema:
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def main():
    wrong = 0
    for line in sys.stdin:
        case = json.loads(line)
        with open(case["schema"], encoding="utf-8") as file:
            schema = strict(json.load(file))
        Draft202012Validator.check_schema(schema)
        for error in Draft202012Validator(schema).iter_errors(case["value"]):
            wrong += 1
            print(f"{case['name']}: at {error.json_path}: {error.message}")
            for cause in error.context or []:
                print(f"    {cause.json_path}: {cause.message}")
    sys.exit(1 if wrong else 0)


main()
