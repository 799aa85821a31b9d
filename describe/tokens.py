"""CLIP tokens: what a text encoder with a short context can still read of a sentence."""

from functools import cache
from typing import Any

# ViCLIP's text context (SPEC: 32, not CLIP's 77), start and end tokens included.
CONTEXT_LENGTH = 32


@cache
def _tokenizer() -> Any:
    from instant_clip_tokenizer import Tokenizer

    return Tokenizer()


def num_clip_tokens(text: str) -> int:
    """Count the CLIP BPE tokens of `text`, start and end tokens included.

    Over `CONTEXT_LENGTH`, ViCLIP's text encoder never sees the end of the sentence.
    """
    return len(_tokenizer().encode(text)) + 2
