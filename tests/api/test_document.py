"""The OpenAPI document: whole, valid, and true to the views."""

import jsonschema
import pytest
from django.test import Client
from django.urls import URLPattern
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from referencing import Registry, Resource
from schemathesis.specs.openapi.definitions import OPENAPI_31

from apps.accounts.permissions import ACTIONS
from console.api.document import TAGS, document
from console.api.urls import patterns

METHODS = ("get", "put", "post", "patch", "delete")


@pytest.fixture(scope="module")
def told():
    return document()


def operations(told):
    for path, item in told["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def views():
    assert all(isinstance(pattern, URLPattern) for pattern in patterns)
    return {pattern.callback.cls for pattern in patterns}


def test_it_is_made_without_a_warning():
    GENERATOR_STATS.reset()
    SchemaGenerator(patterns=patterns, urlconf=None).get_schema(request=None, public=True)
    assert not GENERATOR_STATS


def test_it_is_openapi(told):
    assert told["openapi"].startswith("3.1")
    jsonschema.Draft202012Validator(OPENAPI_31).validate(told)
    assert told["servers"][0]["url"].startswith("http")


def test_each_view_names_what_each_method_needs():
    for view in views():
        handled = {method.upper() for method in METHODS if hasattr(view, method)}
        assert set(view.needs) == set(view.names) == handled, view
        assert all(action in ACTIONS or action == "" for action in view.needs.values()), view
        assert set(view.examples) <= handled, view


def test_each_operation_is_explained(told):
    ids = [operation["operationId"] for _, _, operation in operations(told)]
    assert len(ids) == len(set(ids))
    assert {tag["name"] for tag in told["tags"]} == {op["tags"][0] for _, _, op in operations(told)}
    assert all(tag["name"] in TAGS for tag in told["tags"])
    for path, method, operation in operations(told):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert len(operation["tags"]) == 1, where
        assert operation["x-needs"] in ACTIONS or operation["x-needs"] == "", where
        assert operation["security"] == [{"token": []}], where
        assert any(status.startswith("2") for status in operation["responses"]), where
        assert all(parameter["description"] for parameter in operation.get("parameters", [])), where


def test_each_body_has_an_example_that_fits(told):
    registry = Registry().with_resource("urn:told", Resource.opaque(told))
    for path, method, operation in operations(told):
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]
        if set(content) == {"application/octet-stream"}:
            continue
        assert set(content) == {"application/json"}, (method, path)
        shape = {"$ref": "urn:told#" + content["application/json"]["schema"]["$ref"][1:]}
        assert "example" in content["application/json"], (method, path)
        validator = jsonschema.Draft202012Validator(shape, registry=registry)
        validator.validate(content["application/json"]["example"])


def test_what_is_sent_is_bounded(told):
    """A number without bounds does not fit into a database, a text without them is a bill."""
    for path, method, operation in operations(told):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                bounded(parameter["schema"], f"{method} {path} {parameter['name']}")
    for name, shape in told["components"]["schemas"].items():
        if name.endswith("Request"):
            bounded(shape, name)


def bounded(shape, where):
    kinds = shape.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "enum" in shape or "const" in shape or "$ref" in shape:
        return
    if "integer" in kinds or "number" in kinds:
        assert "maximum" in shape, where
        assert "minimum" in shape, where
    if "string" in kinds:
        assert "maxLength" in shape or shape.get("format") in {"uuid", "date"}, where
    if "array" in kinds:
        assert "maxItems" in shape, where
        bounded(shape["items"], f"{where}[]")
    for name, inner in shape.get("properties", {}).items():
        bounded(inner, f"{where}.{name}")
    for inner in (*shape.get("oneOf", []), *shape.get("anyOf", []), *shape.get("allOf", [])):
        bounded(inner, where)


def test_it_is_served_to_whoever_asks(db, client):
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Tidegate REST API"
    assert client.head("/api/v1/openapi.json").status_code == 200


def test_it_cannot_be_changed_and_says_so_as_a_problem():
    """To a program, which has no token of a form: the refusal of forms is a page."""
    answer = Client(enforce_csrf_checks=True).post("/api/v1/openapi.json")
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer["Allow"] == "GET, HEAD"
    assert answer.json()["request_id"] == answer["X-Request-Id"]
