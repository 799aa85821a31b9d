"""Scoring videos: each exactly once, as a plain loop would, whatever shares the work."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from results_maker import MODEL
from tiny_training import write_video
from tiny_viclip import CLASS_NAMES, TINY, tiny_backbone

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.evaluate_list import adapter_hash, evaluate_list, score_views
from adapt.evaluate_result import summarise
from adapt.loader import BadVideo, Normalise, VideoViews
from adapt.splits import Video, VideoList
from adapt.text import tokenize_classes
from adapt.video_config import LoadConfig, ViewConfig
from describe.classes import ActionClass
from describe.errors import UserError

SMALL = AdapterConfig(start_block=1, end_block=3, dim=8, scale=0.5)
HERE = LoadConfig(workers=0, max_bad_videos=0.5)
CLASSES = tuple(
    ActionClass(class_id=label, name=name, readable=name) for label, name in enumerate(CLASS_NAMES)
)


def model(seed=0):
    backbone = tiny_backbone()
    torch.manual_seed(seed)
    return AdaptedModel(backbone, SMALL).eval()


def views_of(counts, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (TINY.num_frames, TINY.image_size, TINY.image_size, 3)
    normalise = Normalise(ViewConfig().mean, ViewConfig().std)
    return [
        VideoViews(
            index=index,
            frames=torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8),
            normalise=normalise,
        )
        for index, count in enumerate(counts)
    ]


def test_scores_are_those_of_a_plain_loop_over_views():
    adapted, items = model(), views_of([3, 3, 3])
    found = score_views(adapted, items, CLASS_NAMES, device="cpu")
    with torch.no_grad():
        prompts = adapted.prepare_prompts(tokenize_classes(CLASS_NAMES).ids)
        classes = F.normalize(adapted.encode_prompts(prompts), dim=-1)
        for row, item in enumerate(items):
            cosines = []
            for view in item.pixels():
                video = F.normalize(adapted.encode_video(view[None]), dim=-1)
                cosines.append((video @ classes.T)[0])
            expected = torch.stack(cosines).mean(dim=0).numpy()
            softmax = torch.stack([(c / 0.01).softmax(dim=0) for c in cosines]).mean(dim=0)
            assert found.cosines[row] == pytest.approx(expected, abs=1e-5)
            assert found.probabilities[row] == pytest.approx(softmax.numpy(), abs=1e-3)
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("clips_per_pass", [1, 2, 4, 16])
def test_how_many_views_go_through_at_once_changes_nothing(clips_per_pass):
    items = views_of([3, 1, 2, 5, 1])
    whole = score_views(model(), items, CLASS_NAMES, device="cpu", clips_per_pass=100)
    split = score_views(model(), items, CLASS_NAMES, device="cpu", clips_per_pass=clips_per_pass)
    assert split.indices.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(split.cosines, whole.cosines, atol=1e-6)


def test_views_share_passes_and_no_pass_is_larger_than_allowed():
    adapted, sizes = model(), []
    encode = adapted.encode_video
    adapted.encode_video = lambda clips: (sizes.append(len(clips)), encode(clips))[1]
    score_views(adapted, views_of([3] * 5), CLASS_NAMES, device="cpu", clips_per_pass=8)
    assert sizes == [6, 6, 3]
    sizes.clear()
    score_views(adapted, views_of([7, 7]), CLASS_NAMES, device="cpu", clips_per_pass=4)
    assert sizes == [4, 3, 4, 3]


def test_class_prompts_are_encoded_once():
    adapted, calls = model(), []
    encode = adapted.encode_prompts
    adapted.encode_prompts = lambda prompts: (calls.append(1), encode(prompts))[1]
    score_views(adapted, views_of([1] * 6), CLASS_NAMES, device="cpu", clips_per_pass=2)
    assert len(calls) == 1


def test_bad_videos_are_kept_apart_with_their_reasons():
    bad = BadVideo(index=1, name="b", reason="it has no frame")
    items = views_of([1, 1, 1])
    found = score_views(model(), [items[0], bad, items[2]], CLASS_NAMES, device="cpu")
    assert found.indices.tolist() == [0, 2]
    assert found.failed == ((1, "it has no frame"),)


def test_a_model_in_training_is_evaluated_without_dropout():
    adapted = model()
    expected = score_views(adapted, views_of([2, 2]), CLASS_NAMES, device="cpu")
    adapted.train()
    found = score_views(adapted, views_of([2, 2]), CLASS_NAMES, device="cpu")
    assert np.array_equal(found.cosines, expected.cosines)


def test_half_precision_is_near_and_scores_stay_single():
    full = score_views(model(), views_of([2, 2]), CLASS_NAMES, device="cpu")
    half = score_views(model(), views_of([2, 2]), CLASS_NAMES, device="cpu", precision="bf16")
    assert half.cosines.dtype == np.float32
    assert not np.array_equal(half.cosines, full.cosines)
    np.testing.assert_allclose(half.cosines, full.cosines, atol=0.05)


def test_clips_that_the_memory_does_not_hold_go_through_in_parts():  # failure 42
    whole = score_views(model(), views_of([3, 4]), CLASS_NAMES, device="cpu")
    adapted, encoded = model(), []
    encode = adapted.encode_video

    def encode_two_at_most(clips):
        if len(clips) > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        encoded.append(len(clips))
        return encode(clips)

    adapted.encode_video = encode_two_at_most
    found = score_views(adapted, views_of([3, 4]), CLASS_NAMES, device="cpu")
    assert sum(encoded) == 7
    np.testing.assert_allclose(found.cosines, whole.cosines, atol=1e-6)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when")]
)
def test_no_memory_for_a_single_clip_is_one_line(error):  # failure 42
    adapted = model()

    def no_memory(clips):
        raise error

    adapted.encode_video = no_memory
    with pytest.raises(UserError, match="the device has no memory for a single clip"):
        score_views(adapted, views_of([3, 3]), CLASS_NAMES, device="cpu", clips_per_pass=6)


def test_other_errors_are_not_taken_for_want_of_memory():
    adapted = model()

    def broken(clips):
        raise RuntimeError("shapes cannot be multiplied")

    adapted.encode_video = broken
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        score_views(adapted, views_of([3]), CLASS_NAMES, device="cpu")


def test_the_hash_of_an_adapter_is_of_its_numbers_and_its_configuration():
    assert adapter_hash(model()) == adapter_hash(model())
    assert adapter_hash(model()) != adapter_hash(model(seed=1))
    changed = model()
    changed.trainable_parameters()[-1].data.view(-1)[-1] += 1e-6
    assert adapter_hash(changed) != adapter_hash(model())
    other = AdaptedModel(tiny_backbone(), replace(SMALL, scale=0.25))
    other.load_state_dict(model().state_dict())
    assert adapter_hash(other) != adapter_hash(model())
    frozen = AdaptedModel(tiny_backbone(), AdapterConfig(method="frozen"))
    assert adapter_hash(frozen).startswith("a1:")


@pytest.fixture(scope="module")
def seven(tmp_path_factory) -> VideoList:
    """Seven videos, the fourth of which is empty."""
    folder = tmp_path_factory.mktemp("seven")
    names = ("stand still", "move along", "fall down")
    videos = []
    for index in range(7):
        name = names[index % 3]
        path = folder / f"v{index}.mp4"
        write_video(path, name, index)
        videos.append(Video(name=path.name, path=path, class_name=CLASS_NAMES[index % 3]))
    videos[3].path.write_bytes(b"")
    return VideoList(name="test", dataset="toy", classes=CLASSES, videos=tuple(videos))


TWO_BY_ONE = ViewConfig(num_clips=2, num_crops=1)


def test_every_video_is_counted_once(seven):
    counted = []
    scores = evaluate_list(
        model(), seven, TWO_BY_ONE, HERE, device="cpu",
        progress=lambda done, total: counted.append((done, total)),
    )  # fmt: skip
    assert scores.indices.tolist() == [0, 1, 2, 4, 5, 6]
    assert [index for index, _ in scores.failed] == [3]
    assert counted == [(done, 7) for done in range(1, 8)]
    result, _ = summarise(scores, seven, TWO_BY_ONE, MODEL)
    assert (result.n_total, result.n_evaluated, result.n_failed) == (7, 6, 1)
    assert result.failed[0][0] == "v3.mp4"


def evaluate_in_a_process(rank, world_size, meeting, videos, clips_per_pass, sink):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=world_size
    )
    scores = evaluate_list(
        model(), videos, TWO_BY_ONE, HERE, device="cpu", rank=rank, world_size=world_size,
        clips_per_pass=clips_per_pass,
    )  # fmt: skip
    sink.put((rank, scores))
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("world_size", [2, 3])
def test_any_number_of_processes_gives_the_same_scores(seven, tmp_path, world_size):  # failure 41
    alone = evaluate_list(model(), seven, TWO_BY_ONE, HERE, device="cpu")
    context = multiprocessing.get_context("fork")
    sink = context.SimpleQueue()
    workers = [
        context.Process(
            target=evaluate_in_a_process,
            args=(rank, world_size, tmp_path / "meeting", seven, 4, sink),
        )
        for rank in range(world_size)
    ]
    for worker in workers:
        worker.start()
    found = dict(sink.get() for _ in workers)
    for worker in workers:
        worker.join()
    assert sorted(found) == list(range(world_size))
    for scores in found.values():  # every process has all of them
        assert scores.indices.tolist() == alone.indices.tolist()
        assert scores.failed == alone.failed
        np.testing.assert_allclose(scores.cosines, alone.cosines, atol=1e-6)
        assert (scores.cosines.argmax(axis=1) == alone.cosines.argmax(axis=1)).all()


def test_an_empty_list_is_one_line(seven):  # failure 40
    with pytest.raises(UserError, match=r"the list 'test' has 0 videos of 5 classes; nothing can"):
        evaluate_list(model(), replace(seven, videos=()), TWO_BY_ONE, HERE, device="cpu")


def test_more_bad_videos_than_allowed_stop_it(seven):
    strict = replace(HERE, max_bad_videos=0)
    with pytest.raises(UserError, match=r"v3\.mp4"):
        evaluate_list(model(), seven, TWO_BY_ONE, strict, device="cpu")
