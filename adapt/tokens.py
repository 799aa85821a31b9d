"""Texts to CLIP token ids, and no text cut in silence."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from describe.tokens import CONTEXT_LENGTH

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CutText:
    """A text whose end the text tower never sees."""

    index: int
    num_tokens: int
    text: str


@dataclass(frozen=True, slots=True)
class TokenizedTexts:
    """Token ids, and which texts they hold only the beginning of."""

    ids: Tensor
    """(K, L) int64, zero after the end-of-text token."""

    cut: tuple[CutText, ...]


@cache
def _tokenizer() -> Any:
    from instant_clip_tokenizer import Tokenizer

    return Tokenizer()


def tokenize(texts: Sequence[str], context_length: int = CONTEXT_LENGTH) -> TokenizedTexts:
    """Encode each text with its start and end tokens.

    A text that is too long keeps its beginning, with the end token put last, as ViCLIP was
    trained; it is listed in the result, and a warning counts all of them.
    """
    tokenizer = _tokenizer()
    start, end = tokenizer.start_of_text(), tokenizer.end_of_text()
    ids = torch.zeros(len(texts), context_length, dtype=torch.int64)
    cut = []
    for row, text in enumerate(texts):
        body = tokenizer.encode(text)
        if len(body) + 2 > context_length:
            cut.append(CutText(row, len(body) + 2, text))
        body = [start, *body[: context_length - 2], end]
        ids[row, : len(body)] = torch.tensor(body)
    if cut:
        logger.warning(
            "%d of %d texts have more than %d tokens and lose their end, first %r (%d tokens)",
            len(cut), len(texts), context_length, cut[0].text, cut[0].num_tokens,
        )  # fmt: skip
    return TokenizedTexts(ids, tuple(cut))
