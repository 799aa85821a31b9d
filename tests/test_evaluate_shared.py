"""Real clips against official class ids, by a B/16 with random weights: plumbing, not accuracy."""

import os

import pytest
import torch
from results_maker import MODEL

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.backbone import VICLIP_B16, ViCLIP
from adapt.evaluate_list import evaluate_list
from adapt.evaluate_result import summarise
from adapt.splits import Video, VideoList
from adapt.video_config import LoadConfig, ViewConfig
from describe.classes import load_classes

# A whole B/16 takes a second or two for a clip, and more on a busy machine.
pytestmark = [pytest.mark.shared, pytest.mark.timeout(600)]

VIEWS = ViewConfig(num_clips=1, num_crops=1)


@pytest.fixture(autouse=True)
def _all_cores():
    """Other tests compute on one thread; tensors of a B/16 are large enough for all."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return AdaptedModel(ViCLIP(VICLIP_B16), AdapterConfig(method="frozen")).eval()


@pytest.mark.parametrize(
    ("dataset", "num_videos", "num_classes"),
    [("hmdb51", 4, 51), ("ucf101", 20, 101), ("k400", 7, 400)],
)
def test_every_real_clip_is_scored_among_the_official_classes(
    shared, model, dataset, num_videos, num_classes
):
    classes = load_classes(dataset)
    paths = sorted(path for path in (shared / "videos" / dataset).glob("*/*") if path.is_file())
    assert len(paths) == num_videos
    videos = VideoList(
        name="test",
        dataset=dataset,
        classes=classes.classes,
        videos=tuple(
            Video(name=path.name, path=path, class_name=classes.find(path.parent.name).name)
            for path in paths
        ),
    )
    load = LoadConfig(workers=0, max_bad_videos=0)
    scores = evaluate_list(model, videos, VIEWS, load, device="cpu")
    result, rows = summarise(scores, videos, VIEWS, MODEL)
    assert (result.n_total, result.n_evaluated, result.n_failed) == (len(paths), len(paths), 0)
    assert rows.cosines.shape == (len(paths), num_classes)
    # Every label is the official id of the class whose folder holds the clip.
    expected = [classes.by_name[video.class_name].class_id for video in videos.videos]
    assert rows.labels.tolist() == expected
    # The clips differ, and so do their scores.
    assert len({row.tobytes() for row in rows.cosines}) == len(paths)
