"""The control API describes itself whole."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


class TestOpenApi:
    @pytest.fixture
    async def schema(self, api: httpx.AsyncClient) -> dict[str, Any]:
        found: dict[str, Any] = (await api.get("/openapi.json")).json()
        return found

    def test_every_operation_says_what_it_answers(self, schema: dict[str, Any]) -> None:
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                assert operation["description"], (method, path)
                assert any(code.startswith("2") for code in operation["responses"])
                if path.startswith("/v1"):
                    assert {"401", "404", "422"} <= set(operation["responses"]), path
                    refusal = operation["responses"]["404"]["content"]
                    assert "application/problem+json" in refusal

    def test_every_body_and_answer_has_an_example(self, schema: dict[str, Any]) -> None:
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                described = [*operation["responses"].values()]
                if "requestBody" in operation:
                    described.append(operation["requestBody"])
                for part in described:
                    for content in part.get("content", {}).values():
                        assert _has_example(content, schema), (path, content)


def _has_example(content: dict[str, Any], schema: dict[str, Any]) -> bool:
    if {"example", "examples"} & set(content):
        return True
    inner = content["schema"]
    if "$ref" in inner and "examples" not in inner:
        inner = schema["components"]["schemas"][inner["$ref"].rpartition("/")[2]]
    return "examples" in inner
