"""Tokens, packed prompts, and description embeddings."""

import logging

import pytest
import torch
import torch.nn.functional as F
from tiny_viclip import CLASS_NAMES, prompt_tokens, tiny_backbone

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.text import alike_classes, embed_descriptions, embed_texts, tokenize_classes
from adapt.token_forest import plant
from adapt.tokens import tokenize
from adapt.train import main
from adapt.train_backbone import open_backbone
from describe.errors import UserError
from describe.tokens import num_clip_tokens

LONG = "word " * 40
DESCRIPTIONS = {
    "brush hair": ["a hand with a brush", "long strokes through the hair"],
    "climb": ["feet on a wall"],
}


def test_a_long_text_keeps_its_beginning_and_is_never_cut_in_silence(caplog):
    with caplog.at_level(logging.WARNING):
        tokenized = tokenize(["short", LONG, "word"])
    assert tokenized.ids[1, -1] == tokenized.ids.max()
    assert torch.equal(tokenized.ids[1, :2], tokenized.ids[2, :2])
    assert [(cut.index, cut.num_tokens, cut.text) for cut in tokenized.cut] == [(1, 42, LONG)]
    assert "1 of 3 texts have more than 32 tokens and lose their end, first 'word" in caplog.text


def test_the_limit_itself_is_not_too_long(caplog):
    exact = "word " * 30
    assert num_clip_tokens(exact) == 32
    assert tokenize([exact]).cut == ()
    assert tokenize([exact + "word"]).cut[0].num_tokens == 33
    assert "31" not in tokenize(["word"], context_length=8).cut


def test_the_template_holds_the_class_name():
    expected = tokenize(["a video of {brush} hair."]).ids
    assert torch.equal(tokenize_classes(["{brush} hair"]).ids, expected)
    assert torch.equal(tokenize_classes(["x"], "see {} now").ids, tokenize(["see x now"]).ids)
    with pytest.raises(UserError, match="template 'a video' has no {}, where the class name goes"):
        tokenize_classes(["x"], "a video")


def test_shared_beginnings_are_planted_once():
    #           a   b   c  end     a  b  d end       a  x end
    tokens = torch.tensor([[1, 2, 3, 9, 0], [1, 2, 4, 9, 0], [1, 5, 9, 0, 0]])
    forest = plant(tokens)
    assert forest.ids.shape == (1, 8)  # 11 tokens, of which 1 stands for three and 2 for two
    sizes = [forest.mask[0, 0, end].sum().item() for end in forest.ends.tolist()]
    assert sizes == [4, 4, 3]  # each end sees its own prompt and nothing else
    seen = [forest.ids[0, forest.mask[0, 0, end]].tolist() for end in forest.ends.tolist()]
    assert seen == [[1, 2, 3, 9], [1, 2, 4, 9], [1, 5, 9]]
    assert forest.positions[0, forest.mask[0, 0, forest.ends[2]]].tolist() == [0, 1, 2]


def test_a_tree_has_a_largest_size_and_unshared_prompts_trees_of_their_own():
    tokens = prompt_tokens()
    assert plant(tokens).ids.shape[0] == 1
    assert plant(tokens, max_tokens=12).ids.shape[0] > 1
    assert plant(tokens, max_tokens=1).ids.shape[0] == len(tokens)
    lone = plant(tokens, share=False)
    assert lone.ids.shape == (5, int(tokens.argmax(dim=-1).max()) + 1)
    assert plant(tokens).num_tokens < lone.num_tokens


@pytest.mark.parametrize("max_tokens", [1, 12, 96])
@torch.no_grad()
def test_packed_prompts_have_the_embeddings_of_each_alone(max_tokens, monkeypatch):
    monkeypatch.setattr("adapt.adapted.plant", lambda ids, share: plant(ids, max_tokens=max_tokens))
    backbone, tokens = tiny_backbone(), prompt_tokens()[[0, 3, 1, 2, 4, 0]]  # and one twice
    model = AdaptedModel(backbone, AdapterConfig(start_block=2, end_block=3, dim=8, scale=0.3))
    model.eval()
    together = model.encode_prompts(model.prepare_prompts(tokens))
    alone = [model.encode_prompts(model.prepare_prompts(row[None])) for row in tokens]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(together, backbone.encode_text(tokens), atol=1e-3)


@torch.no_grad()
def test_texts_come_back_in_order_whatever_their_lengths(monkeypatch):
    monkeypatch.setattr("adapt.text.MAX_BATCH_TOKENS", 20)
    backbone = tiny_backbone()
    texts = ["one", LONG, "two words", "one", "three words here", "a b c d e f g h i j k"]
    ids = tokenize(texts).ids
    alone = torch.cat([backbone.encode_text(row[None]) for row in ids])
    torch.testing.assert_close(embed_texts(backbone, ids), alone, rtol=1e-4, atol=1e-6)


def test_each_distinct_text_is_encoded_once():
    backbone, rows = tiny_backbone(), []
    first = backbone.text_encoder.transformer.blocks[0]
    first.register_forward_hook(lambda module, args, out: rows.append(len(args[0])))
    embed_texts(backbone, tokenize(["one", "two", "one", "one"]).ids)
    assert sum(rows) == 2


def unit(backbone, texts):
    return F.normalize(backbone.encode_text(tokenize(texts).ids), dim=-1)


@torch.no_grad()
def test_descriptions_are_normalised_averaged_and_normalised_again():
    backbone = tiny_backbone()
    rows = embed_descriptions(backbone, DESCRIPTIONS, ["climb", "brush hair"])
    mean = unit(backbone, DESCRIPTIONS["brush hair"]).mean(dim=0)
    torch.testing.assert_close(rows[0], unit(backbone, DESCRIPTIONS["climb"])[0])
    torch.testing.assert_close(rows[1], F.normalize(mean, dim=0))
    bare = embed_descriptions(backbone, DESCRIPTIONS, ["brush hair"], normalise_mean=False)
    torch.testing.assert_close(bare[0], mean)


def test_description_embeddings_have_no_gradient():
    assert not embed_descriptions(tiny_backbone(), DESCRIPTIONS, ["climb"]).requires_grad


@torch.no_grad()
def test_weights_make_a_weighted_mean():
    backbone, name = tiny_backbone(), "brush hair"
    rows = embed_descriptions(backbone, DESCRIPTIONS, [name], weights={name: [3.0, 1.0]})
    each = unit(backbone, DESCRIPTIONS[name])
    torch.testing.assert_close(rows[0], F.normalize(0.75 * each[0] + 0.25 * each[1], dim=0))
    one = embed_descriptions(backbone, DESCRIPTIONS, [name], weights={name: [0.0, 2.0]})
    torch.testing.assert_close(one[0], each[1])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"climb": [1.0, 1.0]}, "class 'climb' has 1 descriptions and 2 weights"),
        ({}, "class 'climb' has 1 descriptions and 0 weights"),
        ({"climb": [-1.0]}, "weights of class 'climb' must be finite, >= 0 and not all zero"),
        ({"climb": [0.0]}, "weights of class 'climb' must be finite, >= 0 and not all zero"),
    ],
)
def test_impossible_weights_are_refused(weights, message):
    with pytest.raises(UserError, match=message):
        embed_descriptions(tiny_backbone(), DESCRIPTIONS, ["climb"], weights=weights)


def test_a_class_without_descriptions_is_named():
    with pytest.raises(UserError, match="3 of 5 classes have no description, first 'climb stairs'"):
        embed_descriptions(tiny_backbone(), DESCRIPTIONS, CLASS_NAMES)


def test_classes_that_a_backbone_cannot_tell_apart_are_named():
    backbone = open_backbone("miniature")  # it never read these words
    names = ["handshake", "hug", "a circle rising", "a star falling"]
    embeddings = embed_texts(backbone, tokenize_classes(names).ids)
    said = alike_classes(embeddings, names)
    assert said.startswith("2 of 4 class prompts are the same to this backbone as another's")
    assert "('handshake', 'hug'): it does not know these words" in said
    assert alike_classes(embeddings[2:], names[2:]) == ""
    with torch.autocast("cpu", torch.bfloat16):
        half = embed_texts(backbone, tokenize_classes(names).ids)
        assert alike_classes(half, names) == said
        assert alike_classes(half[2:], names[2:]) == ""


def test_a_run_whose_classes_are_one_text_is_told(tmp_path, capsys):
    folder = tmp_path / "v"
    for name in ("hug", "handshake"):
        for i in range(5):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{name}_{i}.mp4").write_bytes(b"%d" % i)
    flags = ["--videos", str(folder), "--backbone", "miniature", "--descriptions", "none"]
    assert main([*flags, "--shots", "1", "--dry-run", "--runs", str(tmp_path / "runs")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "2 of 2 class prompts are the same to this backbone as another's" in shown
