"""The least that serves with ONNX Runtime's Python package: import it, open a local file, run. No checks."""

import json
import os
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = 1
_options.inter_op_num_threads = 1
SESSION = onnxruntime.InferenceSession(os.environ["MODEL_PATH"], _options, providers=["CPUExecutionProvider"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    rows = [list(row.values()) for row in json.loads(event["body"])["instances"]]
    _, probabilities = SESSION.run(["label", "probabilities"], {"input": np.array(rows, dtype=np.float32)})
    return {"statusCode": 200, "body": json.dumps(probabilities.tolist())}
