"""Batches and views: the right video under each label, in an order that only the seed decides."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from video_lists import level_of, numbered_list, write_list

from adapt.frames import clip_frames, view_boxes
from adapt.loader import BadVideo, TrainLoader, VideoViews, ViewLoader, epoch_order
from adapt.video import decode
from adapt.video_config import IMAGENET_MEAN, IMAGENET_STD, ClipConfig, LoadConfig, ViewConfig
from describe.errors import UserError

HERE = LoadConfig(workers=0)
SIZES = {"num_frames": 4, "image_size": 32}


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    return write_list(tmp_path_factory.mktemp("seven"), 7)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    return numbered_list(tmp_path_factory.mktemp("noisy"), 7)


def train(videos, load=HERE, clip=None, batch_size=2, seed=0, **options):
    options = SIZES | options
    clip = ClipConfig() if clip is None else clip
    return TrainLoader(videos, clip, load, batch_size=batch_size, seed=seed, **options)


def views(videos, load=HERE, num_clips=2, num_crops=3, **options):
    config = ViewConfig(num_clips=num_clips, num_crops=num_crops)
    return ViewLoader(videos, config, load, **SIZES, **options)


def by_index(batches) -> dict[int, bytes]:
    """What each video became, bit for bit."""
    return {
        int(index): video.numpy().tobytes()
        for batch in batches
        for index, video in zip(batch.indices, batch.pixels(), strict=True)
    }


def places(batches) -> list[list[int]]:
    return [batch.indices.tolist() for batch in batches]


def test_every_video_is_in_an_epoch_once_under_its_own_label(seven):
    loader = train(seven, clip=ClipConfig(augment=False))
    assert loader.steps_per_epoch == 4
    batches = list(loader.epoch(0))
    assert [len(batch.indices) for batch in batches] == [2, 2, 2, 1]
    assert sorted(sum(places(batches), [])) == [*range(7)]
    for batch in batches:
        assert batch.pixels().dtype == torch.float32
        assert batch.pixels().shape[1:] == (4, 3, 32, 32)
        assert [level_of(video.numpy()) for video in batch.pixels()] == batch.indices.tolist()
        assert batch.labels.tolist() == [index % 3 for index in batch.indices.tolist()]
        assert batch.waited_seconds > 0


def test_order_is_a_function_of_seed_epoch_and_names(seven):
    orders = {tuple(sum(places(train(seven, seed=s).epoch(e)), [])) for s in (0, 1) for e in (0, 1)}
    assert len(orders) == 4
    keys = [f"{i}.avi" for i in range(100)]
    order = [keys[i] for i in epoch_order(keys, 3, 5)]
    backwards = keys[::-1]
    assert [backwards[i] for i in epoch_order(backwards, 3, 5)] == order
    assert order != keys


def test_batches_are_the_same_with_workers_and_without(noisy):
    plain = [list(train(noisy).epoch(epoch)) for epoch in (0, 1)]
    with train(noisy, LoadConfig(workers=2)) as loader:
        assert [places(loader.epoch(epoch)) for epoch in (0, 1)] == [*map(places, plain)]
        assert by_index(loader.epoch(1)) == by_index(plain[1])
    assert by_index(plain[0]) != by_index(plain[1])


def test_an_epoch_can_begin_at_any_step(noisy):
    with train(noisy) as loader:
        whole = list(loader.epoch(3))
        for start in range(5):
            rest = list(loader.epoch(3, start))
            assert places(rest) == places(whole)[start:]
            assert by_index(rest) == by_index(whole[start:])


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_same_steps(noisy, world_size):
    batch_size = 6 // world_size
    alone = list(train(noisy, batch_size=6).epoch(2))
    ranks = [
        list(train(noisy, batch_size=batch_size, rank=rank, world_size=world_size).epoch(2))
        for rank in range(world_size)
    ]
    assert by_index(sum(ranks, [])) == by_index(alone)
    for step, together in enumerate(alone):  # the last has one video: other ranks have none
        parts = [rank[step].indices.tolist() for rank in ranks]
        assert sorted(sum(parts, [])) == sorted(together.indices.tolist())
        assert parts[0] == together.indices.tolist()[::world_size]
    assert ranks[-1][-1].pixels().shape == (0, 4, 3, 32, 32)


def test_an_epoch_that_is_broken_off_leaves_nothing_in_the_next(noisy):
    with train(noisy, LoadConfig(workers=1)) as loader:
        broken = loader.epoch(0)
        next(broken)
        broken.close()
        assert by_index(loader.epoch(1)) == by_index(train(noisy).epoch(1))


@pytest.mark.parametrize("kept", [1, 3e-4, 1e-6])
def test_frames_that_are_kept_change_nothing(noisy, kept):
    # 3e-4 GiB hold some of the videos (12 frames of 36 x 48) and not the rest; 1e-6 none.
    with train(noisy) as plain, train(noisy, LoadConfig(workers=0, frame_cache=kept)) as caching:
        for epoch in range(3):
            assert by_index(caching.epoch(epoch)) == by_index(plain.epoch(epoch))


def test_frames_that_are_kept_are_not_decoded_again(noisy, monkeypatch):
    load = LoadConfig(workers=0, frame_cache=1)
    with train(noisy, load) as loader, views(noisy, load) as test:
        first = by_index(loader.epoch(0)), [each.pixels() for each in test]
        monkeypatch.setattr("adapt.loader_job.decode", None)
        assert by_index(loader.epoch(0)) == first[0]
        assert by_index(loader.epoch(1)) != first[0]
        assert all(map(torch.equal, [each.pixels() for each in test], first[1]))


def test_without_augmentation_the_clip_is_the_single_view_at_the_centre(noisy):
    clips = by_index(train(noisy, clip=ClipConfig(augment=False)).epoch(0))
    for each in views(noisy, num_clips=1, num_crops=1):
        assert each.pixels()[0].numpy().tobytes() == clips[each.index]


def test_views_are_those_of_a_plain_loop(noisy):
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    for each in views(noisy):
        path = noisy.videos[each.index].path
        clips = [decode(path, clip, short_side=32) for clip in clip_frames(12, 4, 2)]
        plain = [
            (clip[:, box.top : box.top + 32, box.left : box.left + 32] / 255 - mean) / std
            for clip in clips
            for box in view_boxes(32, 43, 32, 3)
        ]
        wanted = torch.from_numpy(np.stack(plain)).permute(0, 1, 4, 2, 3).float()
        assert each.pixels().shape == (6, 4, 3, 32, 32)
        torch.testing.assert_close(each.pixels(), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_video_is_viewed_once_on_any_number_of_processes(seven, world_size):
    seen = []
    for rank in range(world_size):
        share = views(seven, num_clips=1, num_crops=1, rank=rank, world_size=world_size)
        found = list(share)
        assert len(share) == len(found)
        seen += [(each.index, level_of(each.pixels()[0].numpy())) for each in found]
    assert sorted(seen) == [(i, i) for i in range(7)]


def test_a_list_is_not_flipped_where_its_classes_tell_left_from_right(seven, tmp_path):
    names = ("Pushing something from left to right", "Pushing something from right to left", "wave")
    sides = replace(
        seven,
        classes=tuple(
            replace(each, readable=name) for each, name in zip(seven.classes, names, strict=True)
        ),
    )
    assert train(seven).flip == 0.5
    assert train(sides).flip == 0
    assert train(sides, clip=ClipConfig(flip=0.5)).flip == 0.5
    assert ClipConfig().flip_probability(["righting a kayak", "copyright", "cleft"]) == 0.5
    for name in ("turn_left", "swipeleft", "rightwards", "clockwise", "counter-clockwise"):
        assert ClipConfig().flip_probability([name]) == 0


@pytest.fixture
def with_bad(tmp_path):
    """Seven videos of which 2 and 5 are none."""
    videos = write_list(tmp_path, 7)
    (tmp_path / "02.avi").write_bytes(b"")
    (tmp_path / "05.avi").unlink()
    return videos


TOLERANT = LoadConfig(workers=0, max_bad_videos=2)


def test_a_bad_video_leaves_its_batch_smaller_and_is_named(with_bad, tmp_path):
    file = tmp_path / "bad.jsonl"
    loader = train(with_bad, TOLERANT, ClipConfig(augment=False), quarantine=file)
    batches = list(loader.epoch(0))
    assert sum(len(batch.indices) for batch in batches) == 5
    assert len(batches) == 4
    for batch in batches:
        assert [level_of(video.numpy()) for video in batch.pixels()] == batch.indices.tolist()
        assert batch.labels.tolist() == [index % 3 for index in batch.indices.tolist()]
    failed = {bad.index: bad for batch in batches for bad in batch.failed}
    assert failed[5] == BadVideo(index=5, name="05.avi", reason="No such file or directory")
    assert failed.keys() == {2, 5}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    # What is not there may come back, as a disk that was away does: it is not written down.
    assert {line["name"]: line["reason"] for line in lines} == {"02.avi": "the file is empty"}
    assert all(line["when"].endswith("+00:00") for line in lines)
    assert not any(batch.failed for batch in loader.epoch(1))


def test_a_batch_of_bad_videos_is_empty(with_bad):
    order = epoch_order([video.name for video in with_bad.videos], 0, 0)
    batches = list(train(with_bad, TOLERANT, batch_size=1).epoch(0))
    empty = [order[step] for step, batch in enumerate(batches) if not len(batch.indices)]
    assert sorted(empty) == [2, 5]


def test_a_resumed_run_skips_the_same_videos_without_trying_them(with_bad, tmp_path):
    file = tmp_path / "bad.jsonl"
    before = list(train(with_bad, TOLERANT, quarantine=file).epoch(1))
    file.write_text(file.read_text() + '{"name": "01.avi", "rea')  # killed as it wrote
    write_list(tmp_path, 7)  # all are whole again; the one that was bad is still left out
    after = by_index(train(with_bad, TOLERANT, quarantine=file).epoch(1))
    assert after.keys() == by_index(before).keys() | {5}
    assert all(after[index] == clip for index, clip in by_index(before).items())


def test_too_many_bad_videos_stop_the_run_with_the_list(with_bad, tmp_path):
    file = tmp_path / "bad.jsonl"
    loader = train(with_bad, LoadConfig(workers=0, max_bad_videos=1), quarantine=file)
    wanted = (
        r"^2 of 7 videos cannot be read, and --max-bad-videos allows 1: "
        r"(?=.*02\.avi \(.+\))(?=.*05\.avi \(No such file or directory\))"
        r".*; to have them tried again, take their lines out of .*bad\.jsonl$"
    )
    with pytest.raises(UserError, match=wanted):
        list(loader.epoch(0))
    with pytest.raises(UserError, match=r"1 of 7 videos cannot be read"):
        train(with_bad, LoadConfig(workers=0, max_bad_videos=0), quarantine=file)
    with pytest.raises(UserError, match=r"2 of 7 videos cannot be read, .* allows 1"):
        list(views(with_bad, LoadConfig(workers=0, max_bad_videos=0.1)))  # a tenth of 7, rounded up


def test_a_quarantine_that_cannot_be_written_or_read_is_named(with_bad, tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*missing/bad\.jsonl: No such file"):
        list(train(with_bad, TOLERANT, quarantine=tmp_path / "missing" / "bad.jsonl").epoch(0))
    with pytest.raises(UserError, match=r"cannot read .*: Is a directory"):
        train(with_bad, TOLERANT, quarantine=tmp_path)


def test_bad_videos_are_among_the_views_once_each(with_bad):
    found = list(views(with_bad, TOLERANT, num_clips=1, num_crops=1))
    assert [each.index for each in found] == [*range(7)]
    kinds = [type(each) for each in found]
    assert [i for i, kind in enumerate(kinds) if kind is BadVideo] == [2, 5]
    assert kinds.count(VideoViews) == 5


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (ClipConfig, {"flip": 1.5}, r"--flip is 1.5; it must be in \[0, 1\]"),
        (ClipConfig, {"jitter": -1}, r"--jitter is -1; it must be in \[0, 1\]"),
        (ClipConfig, {"num_frames": 0}, "--num-frames is 0; it must be at least 1"),
        (ClipConfig, {"std": (1, 0, 1)}, "--std is 1 0 1; each must be above 0"),
        (ViewConfig, {"num_clips": 0}, "--num-clips is 0; it must be at least 1"),
        (ViewConfig, {"num_crops": 2}, "--num-crops is 2; it must be 1 or 3"),
        (LoadConfig, {"workers": -1}, "--workers is -1; it must be at least 0"),
        (LoadConfig, {"video_timeout": 0}, "--video-timeout is 0; it must be above 0"),
        (LoadConfig, {"frame_cache": -1}, "--frame-cache is -1; it must be at least 0"),
        (LoadConfig, {"max_bad_videos": -0.1}, "--max-bad-videos is -0.1; it must be at least 0"),
    ],
)
def test_values_that_cannot_be_used_are_refused(config, options, message):
    with pytest.raises(UserError, match=message):
        config(**options)


def test_workers_and_limits_by_default(monkeypatch):
    assert LoadConfig(workers=3).num_workers == 3
    monkeypatch.setattr("adapt.video_config._usable_cpus", lambda: 12)
    assert LoadConfig().num_workers == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert LoadConfig().num_workers == 1
    assert [LoadConfig(max_bad_videos=m).allowed_bad_videos(16) for m in (0, 0.1, 1, 5)] == [
        0,
        2,
        1,
        5,
    ]
