"""ONNX Runtime through its C library, without its Python package and without numpy.

The wheel of `onnxruntime` holds the same engine twice: inside a Python extension, which imports numpy, and as
a plain C library. The extension with numpy is two thirds of a cold start and two thirds of the asset; the C
library opens in milliseconds. Its interface is a table of functions that ONNX Runtime keeps binary compatible
for ever: new functions are only appended, and a caller asks for the version of the table that it was written
for. So the indices below stay true for every later release.
"""

# ruff: noqa: PTH112, PTH118, PTH208 -- pathlib would be imported for one folder alone

import ctypes
import os
import sys
from array import array
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from typing import Any, NamedTuple, TypeAlias

API_VERSION = 16

FLOAT, INT32, INT64, STRING, DOUBLE = 1, 6, 7, 8, 11
TYPE_NAMES = {FLOAT: "float", INT32: "int32", INT64: "int64", STRING: "string", DOUBLE: "double"}
ARRAY_CODES = {FLOAT: "f", INT32: "i", INT64: "q", DOUBLE: "d"}

_LOG_ERRORS_ONLY = 3
_OPTIMIZE_ALL = 99
_DEVICE_ALLOCATOR = 0
_DEFAULT_MEMORY = 0

_Sizes = POINTER(c_size_t)
_Shape = POINTER(c_int64)
_Pointers = POINTER(c_void_p)
_Strings = POINTER(c_char_p)
_Int = POINTER(c_int)

# name -> (index in the table, argument types). Each of these returns a status: null is success.
_CALLS: dict[str, tuple[int, tuple[Any, ...]]] = {
    "CreateEnv": (3, (c_int, c_char_p, _Pointers)),
    "DisableTelemetryEvents": (6, (c_void_p,)),
    "CreateSessionFromArray": (8, (c_void_p, c_char_p, c_size_t, c_void_p, _Pointers)),
    "Run": (9, (c_void_p, c_void_p, _Strings, _Pointers, c_size_t, _Strings, c_size_t, _Pointers)),
    "CreateSessionOptions": (10, (_Pointers,)),
    "DisableMemPattern": (17, (c_void_p,)),
    "SetSessionGraphOptimizationLevel": (23, (c_void_p, c_int)),
    "SetIntraOpNumThreads": (24, (c_void_p, c_int)),
    "SetInterOpNumThreads": (25, (c_void_p, c_int)),
    "SessionGetInputCount": (30, (c_void_p, _Sizes)),
    "SessionGetOutputCount": (31, (c_void_p, _Sizes)),
    "SessionGetInputTypeInfo": (33, (c_void_p, c_size_t, _Pointers)),
    "SessionGetOutputTypeInfo": (34, (c_void_p, c_size_t, _Pointers)),
    "SessionGetInputName": (36, (c_void_p, c_size_t, c_void_p, _Pointers)),
    "SessionGetOutputName": (37, (c_void_p, c_size_t, c_void_p, _Pointers)),
    "CreateTensorAsOrtValue": (48, (c_void_p, _Shape, c_size_t, c_int, _Pointers)),
    "CreateTensorWithDataAsOrtValue": (
        49,
        (c_void_p, c_void_p, c_size_t, _Shape, c_size_t, c_int, _Pointers),
    ),
    "GetTensorMutableData": (51, (c_void_p, _Pointers)),
    "FillStringTensor": (52, (c_void_p, _Strings, c_size_t)),
    "GetStringTensorDataLength": (53, (c_void_p, _Sizes)),
    "GetStringTensorContent": (54, (c_void_p, c_void_p, c_size_t, _Sizes, c_size_t)),
    "CastTypeInfoToTensorInfo": (55, (c_void_p, _Pointers)),
    "GetTensorElementType": (60, (c_void_p, _Int)),
    "GetDimensionsCount": (61, (c_void_p, _Sizes)),
    "GetDimensions": (62, (c_void_p, _Shape, c_size_t)),
    "GetTensorShapeElementCount": (64, (c_void_p, _Sizes)),
    "GetTensorTypeAndShape": (65, (c_void_p, _Pointers)),
    "CreateCpuMemoryInfo": (69, (c_int, c_int, _Pointers)),
    "AllocatorFree": (76, (c_void_p, c_void_p)),
    "GetAllocatorWithDefaultOptions": (78, (_Pointers,)),
    "AddSessionConfigEntry": (130, (c_void_p, c_char_p, c_char_p)),
    "GetResizedStringTensorElementBuffer": (252, (c_void_p, c_size_t, c_size_t, _Pointers)),
}
_GET_ERROR_MESSAGE = 2
# These return nothing.
_RELEASES = {
    "Status": 93,
    "Session": 95,
    "Value": 96,
    "TypeInfo": 98,
    "TensorTypeAndShapeInfo": 99,
    "SessionOptions": 100,
}


class OrtError(RuntimeError):
    """What ONNX Runtime said when it refused."""


class Port(NamedTuple):
    """One input or output of a model. A dimension that may vary is -1; `element` is None for a non-tensor."""

    name: str
    element: int | None
    shape: tuple[int, ...]


Column: TypeAlias = "array[float] | list[bytes]"
Result = list[float] | list[int] | list[str]


def library_path() -> str:
    """Where the C library lies: inside the installed `onnxruntime`, which is found but not imported."""
    for folder in sys.path:
        capi = os.path.join(folder, "onnxruntime", "capi")
        names = sorted(os.listdir(capi)) if os.path.isdir(capi) else []
        for name in names:
            if name.startswith("libonnxruntime.") or name == "onnxruntime.dll":
                return os.path.join(capi, name)
    raise OrtError("the C library of onnxruntime is not beside this function: build the asset again")


class Engine:
    """The loaded library: its functions and the one environment that all sessions share."""

    def __init__(self) -> None:
        library = ctypes.CDLL(library_path())
        library.OrtGetApiBase.restype = POINTER(c_void_p)
        get_api = ctypes.CFUNCTYPE(POINTER(c_void_p), c_uint32)(library.OrtGetApiBase()[0])
        table = get_api(API_VERSION)
        if not table:
            raise OrtError(f"{library._name} is older than version {API_VERSION} of the C interface")
        self._error_message: Callable[[int], bytes] = ctypes.CFUNCTYPE(c_char_p, c_void_p)(
            table[_GET_ERROR_MESSAGE]
        )
        self.call: dict[str, Callable[..., int | None]] = {
            name: ctypes.CFUNCTYPE(c_void_p, *arguments)(table[index])
            for name, (index, arguments) in _CALLS.items()
        }
        self.release: dict[str, Callable[[c_void_p], None]] = {
            name: ctypes.CFUNCTYPE(None, c_void_p)(table[index]) for name, index in _RELEASES.items()
        }
        self.environment = self.new("CreateEnv", _LOG_ERRORS_ONLY, b"inference")
        self.check(self.call["DisableTelemetryEvents"](self.environment))
        self.allocator = self.new("GetAllocatorWithDefaultOptions")
        self.memory = self.new("CreateCpuMemoryInfo", _DEVICE_ALLOCATOR, _DEFAULT_MEMORY)

    def check(self, status: int | None) -> None:
        if status:
            message = self._error_message(status).decode("utf-8", "replace")
            self.release["Status"](c_void_p(status))
            raise OrtError(message)

    def new(self, function: str, *arguments: object) -> c_void_p:
        """Call a function whose last argument receives the object that it makes."""
        made = c_void_p()
        self.check(self.call[function](*arguments, byref(made)))
        return made

    def size(self, function: str, *arguments: object) -> int:
        counted = c_size_t()
        self.check(self.call[function](*arguments, byref(counted)))
        return counted.value

    def text(self, function: str, *arguments: object) -> str:
        """Call a function that returns a string of the allocator, and give the string back to it."""
        pointer = self.new(function, *arguments, self.allocator)
        try:
            return ctypes.string_at(pointer.value or 0).decode("utf-8")
        finally:
            self.check(self.call["AllocatorFree"](self.allocator, pointer))


class Session:
    """A model that is loaded. `run` may be called from several threads."""

    def __init__(self, engine: Engine, model: bytes, *, threads: int = 1) -> None:
        self._engine = engine
        options = engine.new("CreateSessionOptions")
        try:
            call, check = engine.call, engine.check
            check(call["SetSessionGraphOptimizationLevel"](options, _OPTIMIZE_ALL))
            check(call["SetIntraOpNumThreads"](options, threads))
            check(call["SetInterOpNumThreads"](options, 1))
            # Threads that spin between calls would burn the share of a vCPU that a function has.
            check(call["AddSessionConfigEntry"](options, b"session.intra_op.allow_spinning", b"0"))
            check(call["AddSessionConfigEntry"](options, b"session.inter_op.allow_spinning", b"0"))
            # Planned memory is remembered for each batch size; requests come in every size.
            check(call["DisableMemPattern"](options))
            self._session = engine.new(
                "CreateSessionFromArray", engine.environment, model, len(model), options
            )
        finally:
            engine.release["SessionOptions"](options)
        self.inputs = self._ports("Input")
        self.outputs = self._ports("Output")

    def __del__(self) -> None:
        session = getattr(self, "_session", None)
        if session is not None:
            self._engine.release["Session"](session)

    def _ports(self, side: str) -> tuple[Port, ...]:
        engine, session = self._engine, self._session
        return tuple(
            self._port(
                engine.text(f"SessionGet{side}Name", session, index),
                engine.new(f"SessionGet{side}TypeInfo", session, index),
            )
            for index in range(engine.size(f"SessionGet{side}Count", session))
        )

    def _port(self, name: str, type_info: c_void_p) -> Port:
        engine = self._engine
        try:
            tensor = engine.new("CastTypeInfoToTensorInfo", type_info)  # belongs to type_info
            if tensor.value is None:
                return Port(name, None, ())
            shape = (c_int64 * engine.size("GetDimensionsCount", tensor))()
            engine.check(engine.call["GetDimensions"](tensor, shape, len(shape)))
            return Port(name, self._element(tensor), tuple(shape))
        finally:
            engine.release["TypeInfo"](type_info)

    def _element(self, tensor_info: c_void_p) -> int:
        element = c_int()
        self._engine.check(self._engine.call["GetTensorElementType"](tensor_info, byref(element)))
        return element.value

    def bind(self, inputs: Sequence[str], outputs: Sequence[str]) -> "Runner":
        """Fix which inputs are fed and which outputs are read, in this order, for many calls."""
        return Runner(self, inputs, outputs)


class Runner:
    """Runs one session with fixed inputs and outputs."""

    def __init__(self, session: Session, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._session = session  # the handles below are valid as long as it lives
        self._engine = engine = session._engine
        self._handle = session._session
        self._input_names = (c_char_p * len(inputs))(*[name.encode() for name in inputs])
        self._output_names = (c_char_p * len(outputs))(*[name.encode() for name in outputs])
        self._inputs_type = c_void_p * len(inputs)
        self._outputs_type = c_void_p * len(outputs)
        self._run = engine.call["Run"]
        self._release = engine.release["Value"]

    def __call__(self, columns: Sequence[Column], rows: int) -> list[Result]:
        """Feed each input one column of texts or one row-major table of single floats; read each output."""
        inputs, outputs = self._inputs_type(), self._outputs_type()
        try:
            for index, column in enumerate(columns):
                inputs[index] = self._tensor(column, rows).value
            status = self._run(
                self._handle,
                None,
                self._input_names,
                inputs,
                len(inputs),
                self._output_names,
                len(outputs),
                outputs,
            )
            if status:
                self._engine.check(status)
            return [self._read(c_void_p(output)) for output in outputs]
        finally:
            for value in (*inputs, *outputs):
                if value:
                    self._release(value)

    def _tensor(self, column: Column, rows: int) -> c_void_p:
        shape = (c_int64 * 2)(rows, len(column) // rows)
        if isinstance(column, list):
            return self._string_tensor(column, shape)
        address, length = column.buffer_info()
        # The tensor borrows the memory of `column`, which the caller holds until the run is over.
        return self._engine.new(
            "CreateTensorWithDataAsOrtValue",
            self._engine.memory,
            address,
            length * column.itemsize,
            shape,
            2,
            FLOAT,
        )

    def _string_tensor(self, texts: list[bytes], shape: "ctypes.Array[c_int64]") -> c_void_p:
        engine = self._engine
        value = engine.new("CreateTensorAsOrtValue", engine.allocator, shape, 2, STRING)
        try:
            engine.check(engine.call["FillStringTensor"](value, (c_char_p * len(texts))(*texts), len(texts)))
            for index, text in enumerate(texts):
                if b"\0" in text:  # a C string would end there
                    buffer = engine.new("GetResizedStringTensorElementBuffer", value, index, len(text))
                    ctypes.memmove(buffer, text, len(text))
        except OrtError:
            self._release(value)
            raise
        return value

    def _read(self, value: c_void_p) -> Result:
        engine = self._engine
        info = engine.new("GetTensorTypeAndShape", value)
        try:
            element = self._session._element(info)
            count = engine.size("GetTensorShapeElementCount", info)
        finally:
            engine.release["TensorTypeAndShapeInfo"](info)
        if element == STRING:
            return self._read_strings(value, count)
        code = ARRAY_CODES.get(element)
        if code is None:
            raise OrtError(f"an output of element type {element} cannot be read")
        pointer = engine.new("GetTensorMutableData", value)
        numbers: array[float] = array(code)
        numbers.frombytes(ctypes.string_at(pointer.value or 0, count * numbers.itemsize))
        return numbers.tolist()

    def _read_strings(self, value: c_void_p, count: int) -> list[str]:
        engine = self._engine
        length = engine.size("GetStringTensorDataLength", value)
        content, offsets = ctypes.create_string_buffer(length), (c_size_t * count)()
        engine.check(engine.call["GetStringTensorContent"](value, content, length, offsets, count))
        ends = [*offsets[1:], length] if count else []
        raw = content.raw
        return [raw[start:end].decode("utf-8", "replace") for start, end in zip(offsets, ends, strict=True)]
