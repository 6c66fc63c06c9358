"""Errors of SageMaker's API, by the codes that its clients catch."""

from __future__ import annotations


class ApiError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def in_use(message: str) -> ApiError:
    return ApiError("ResourceInUse", message)


def not_found(message: str = "Requested resource not found.") -> ApiError:
    return ApiError("ValidationException", message)
