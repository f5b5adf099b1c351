"""Random JSON schemas with values, and whether the jsonschema package finds each value valid against its schema.

Writes tests/golden/data/json_schema.json: [{"schema": ..., "values": [[value, valid], ...]}, ...]. Values are near misses: a
valid value is looked for, then changed in places.
"""
import copy
import json
import os
import random

from jsonschema import Draft202012Validator

from golden import DATA

rng = random.Random(20)
PATTERNS = ["^[a-c]+$", "ab", "^(x|yz){1,3}$", "[0-9]$", "^[^a-z]*$", "^\\w+\\.\\d{2}$", "^.{2,4}$", "é+", "^[\"\\\\]+$", "(?:foo|bar)+baz?"]
STRINGS = ["", "a", "ab", "abc", "xyz", "x", "yz", "foo9", "AB.12", "a.12", "éé", "\"\\", "foobarba", "2024-02-28", "2024-02-30", "ü\n", "12"]
NUMBERS = [0, 1, -1, 2.5, -0.125, 7, 14, 100, 99.999, 1e3, -250, 0.1]


def number():
    schema = {"type": rng.choice(["integer", "number"])}
    low = rng.choice([rng.randint(-20, 20), rng.randint(-80, 80) / 8])
    if rng.random() < 0.6:
        schema[rng.choice(["minimum", "exclusiveMinimum"])] = low
    if rng.random() < 0.6:
        schema[rng.choice(["maximum", "exclusiveMaximum"])] = low + rng.choice([1, 5, 90, 0.5])
    if rng.random() < 0.2:
        schema["multipleOf"] = rng.randint(1, 9)
    return schema


def string():
    schema = {"type": "string"}
    if rng.random() < 0.4:
        schema["minLength"] = rng.randint(0, 3)
    if rng.random() < 0.4:
        schema["maxLength"] = rng.randint(2, 5)
    if rng.random() < 0.5:
        schema["pattern"] = rng.choice(PATTERNS)
    elif rng.random() < 0.2:
        schema["format"] = "date"
    return schema


def schema_of(depth):
    kind = rng.randint(0, 4 if depth > 2 else 10)
    if kind == 0:
        return number()
    if kind in (1, 2):
        return string()
    if kind == 3:
        return {"enum": rng.sample(["red", 1, None, "grün", 2.5, True], 3)}
    if kind == 4:
        return {"type": rng.sample(["boolean", "null", "integer", "string"], 2)}
    if kind in (5, 6):
        schema = {"type": "array"}
        if rng.random() < 0.7:
            schema["items"] = schema_of(depth + 1)
        if rng.random() < 0.3:
            schema["prefixItems"] = [schema_of(depth + 1)]
        if rng.random() < 0.5:
            schema["minItems"] = rng.randint(0, 2)
        if rng.random() < 0.5:
            schema["maxItems"] = rng.randint(2, 3)
        return schema
    if kind == 7:
        return {"anyOf": [schema_of(depth + 1), schema_of(depth + 1)]}
    if kind == 8:
        return {"allOf": [object_of(depth), object_of(depth)]}
    return object_of(depth)


def object_of(depth):
    schema = {"type": "object", "properties": {n: schema_of(depth + 1) for n in ["a", "b", "long name"] if rng.random() < 0.6}}
    required = [n for n in ["a", "b", "c"] if rng.random() < 0.3]
    if required:
        schema["required"] = required
    if rng.random() < 0.5:
        schema["additionalProperties"] = rng.choice([False, schema_of(depth + 1)])
    if rng.random() < 0.2:
        schema["maxProperties"] = rng.randint(1, 3)
    return schema


def value_of(schema, depth=0):
    """A value that has a fair chance to be valid."""
    if not isinstance(schema, dict):
        return rng.choice([None, 1, "ab"])
    if "enum" in schema and rng.random() < 0.9:
        return rng.choice(schema["enum"])
    for keyword in ("anyOf", "allOf"):
        if keyword in schema:
            merged = {}
            for part in schema[keyword] if keyword == "allOf" else [rng.choice(schema[keyword])]:
                made = value_of(part, depth)
                if not isinstance(made, dict):
                    return made
                merged.update(made)
            return merged
    kind = schema.get("type", rng.choice(["string", "integer", "object"]))
    kind = rng.choice(kind) if isinstance(kind, list) else kind
    if kind == "array":
        count = rng.randint(schema.get("minItems", 0), schema.get("maxItems", 3))
        first = schema.get("prefixItems", [])
        return [value_of(first[i] if i < len(first) else schema.get("items", True), depth + 1) for i in range(count)]
    if kind == "object":
        made = {}
        for name, inner in schema.get("properties", {}).items():
            if name in schema.get("required", []) or rng.random() < 0.5:
                made[name] = value_of(inner, depth + 1)
        for name in schema.get("required", []):
            made.setdefault(name, value_of(schema.get("additionalProperties", True), depth + 1))
        if rng.random() < 0.2:
            made["more"] = value_of(schema.get("additionalProperties", True), depth + 1)
        return made
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null":
        return None
    return rng.choice(STRINGS) if kind == "string" else rng.choice([int(n) for n in NUMBERS] if kind == "integer" else NUMBERS)


def spoiled(value):
    """The value with one place changed."""
    value = copy.deepcopy(value)
    if isinstance(value, list) and value and rng.random() < 0.7:
        i = rng.randrange(len(value))
        value[i] = spoiled(value[i])
        return value
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(list(value))
        if rng.random() < 0.3:
            del value[name]
        else:
            value[name] = spoiled(value[name])
        return value
    return rng.choice([None, True, 3, -1000, "ab", "zzzzzzzzzz", [], {}, {"a": 1}, [1, 2, 3, 4]])


def main():
    cases = []
    for _ in range(400):
        schema = schema_of(0)
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        values = []
        for _ in range(10):
            value = value_of(schema)
            if rng.random() < 0.4:
                value = spoiled(value)
            values.append([value, validator.is_valid(value)])
        cases.append({"schema": schema, "values": values})
    path = os.path.join(DATA, "json_schema.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[" + ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases) + "]\n")
    valid = sum(valid for case in cases for _, valid in case["values"])
    print(f"{path}: {len(cases)} schemas, {valid} of {10 * len(cases)} values valid")


if __name__ == "__main__":
    main()
