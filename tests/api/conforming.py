"""A program with a token that holds each answer against the OpenAPI document."""

import re
from functools import lru_cache

import jsonschema
from django.urls import resolve
from referencing import Registry, Resource

from console.api.document import document
from tests.api.conftest import Api, api_of


@lru_cache(maxsize=1)
def registry():
    return Registry().with_resource("urn:told", Resource.opaque(document()))


@lru_cache(maxsize=500)
def validator(path, method, status, kind):
    """Of an answer's body."""
    told = document()["paths"][path][method]["responses"][status]
    if "$ref" in told:
        told = document()["components"]["responses"][told["$ref"].rpartition("/")[2]]
    shape = {"$ref": "urn:told" + told["content"][kind]["schema"]["$ref"]}
    return jsonschema.Draft202012Validator(shape, registry=registry())


class ConformingApi(Api):
    """Fails where an answer is not as the document says."""

    def __call__(self, method, path, body=None, **headers):
        answer = super().__call__(method, path, body, **headers)
        route = resolve((self.prefix + path).partition("?")[0]).route
        place = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
        if place not in document()["paths"] or method.lower() not in document()["paths"][place]:
            return answer
        told = document()["paths"][place][method.lower()]["responses"]
        assert str(answer.status_code) in told, (method, path, answer.status_code, answer.content)
        if answer.content:
            kind = answer["Content-Type"].partition(";")[0]
            found = validator(place, method.lower(), str(answer.status_code), kind).iter_errors(answer.json())
            wrong = [f"{error.json_path}: {error.message}" for error in found]
            assert not wrong, (method, path, wrong)
        return answer


def conforming(user, team, scopes=None):
    """Of a member of a team. scopes None: all that the member may."""
    return ConformingApi(api_of(user, team, scopes).token)
