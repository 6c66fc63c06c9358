"""What servers of large models are told by the environment of their containers.

https://docs.djl.ai/master/docs/serving/serving/docs/lmi/deployment_guide/configurations.html,
https://huggingface.co/docs/text-generation-inference/reference/launcher and, for Neuron,
https://huggingface.co/docs/optimum-neuron/guides/neuronx_tgi
"""

from __future__ import annotations

from typing import Literal

from cdk_data_science.serving.neuron import Compiled, NeuronCache

Server = Literal["lmi", "tgi"]
MODEL_FOLDER = "/opt/ml/model"


def server_of(image: str) -> Server | None:
    """Which server an image of AWS has; None for others."""
    name = image.rpartition("/")[2]
    if name.startswith("djl-inference"):
        return "lmi"
    return "tgi" if name.startswith("huggingface-pytorch-tgi-inference") else None


def environment(
    server: Server,
    *,
    model: str,
    revision: str | None,
    parallel: int,
    max_length: int | None,
    compiled: Compiled | NeuronCache | None,
    startup_seconds: int,
) -> dict[str, str]:
    """The variables of one server on GPUs, or on NeuronCores where something is compiled."""
    found = {"HF_MODEL_ID": model}
    if server == "lmi":
        found |= {
            "OPTION_TENSOR_PARALLEL_DEGREE": str(parallel),
            "OPTION_MODEL_LOADING_TIMEOUT": str(startup_seconds),
            # Code that came with the weights would run with the permissions of the container.
            "OPTION_TRUST_REMOTE_CODE": "false",
        }
        if revision is not None:
            found["OPTION_REVISION"] = revision
        if compiled is not None:
            found |= {
                "OPTION_ENTRYPOINT": "djl_python.transformers_neuronx",
                "OPTION_N_POSITIONS": str(compiled.sequence_length),
                "OPTION_MAX_ROLLING_BATCH_SIZE": str(compiled.batch_size),
                "OPTION_DTYPE": compiled.dtype,
            }
        elif max_length is not None:
            found["OPTION_MAX_MODEL_LEN"] = str(max_length)
    else:
        if revision is not None:
            found["REVISION"] = revision
        if compiled is not None:
            found |= {
                "HF_NUM_CORES": str(parallel),
                "HF_SEQUENCE_LENGTH": str(compiled.sequence_length),
                "HF_BATCH_SIZE": str(compiled.batch_size),
                "HF_AUTO_CAST_TYPE": compiled.dtype,
                "MAX_BATCH_SIZE": str(compiled.batch_size),
                "MAX_TOTAL_TOKENS": str(compiled.sequence_length),
                "MAX_INPUT_TOKENS": str(max(1, compiled.sequence_length - 1)),
            }
        else:
            found["SM_NUM_GPUS"] = str(parallel)
            if max_length is not None:
                found |= {
                    "MAX_TOTAL_TOKENS": str(max_length),
                    "MAX_INPUT_TOKENS": str(max(1, max_length - 1)),
                }
    if isinstance(compiled, NeuronCache):
        found["NEURON_COMPILE_CACHE_URL"] = compiled.uri
    return found
