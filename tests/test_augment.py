"""What training changes in a clip: against plain loops, values by hand, and the other frames."""

import colorsys

import numpy as np
import pytest
from PIL import Image

from adapt import augment
from adapt.augment import Augmentation, Changes, apply_changes, draw_changes, generator
from adapt.frames import Box

ALL = Augmentation(crop="multi_scale", flip=0.5, jitter=0.8, grey=0.2)
WHOLE = Box(0, 0, 16, 16)


def noise(frames=3, height=16, width=16):
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)


def changed(frames, *colours, flip=False, grey=False, box=WHOLE, size=16):
    changes = Changes(box=box, flip=flip, colours=colours, grey=grey)
    return apply_changes(frames, changes, size)


def draws(count=400, kinds=ALL, height=256, width=340, size=224):
    return [
        draw_changes(height, width, size, kinds, generator(0, epoch, "a")) for epoch in range(count)
    ]


def test_the_numbers_of_a_clip_depend_on_seed_epoch_video_and_view_alone():
    first = generator(1, 2, "a.avi", 3).random(4)
    generator(5, 5, "other").random(100)
    assert (generator(1, 2, "a.avi", 3).random(4) == first).all()
    others = [(0, 2, "a.avi", 3), (1, 0, "a.avi", 3), (1, 2, "b.avi", 3), (1, 2, "a.avi", 0)]
    assert not any((generator(*other).random(4) == first).any() for other in others)


def test_the_numbers_are_a_promise():
    # A run that is resumed after an upgrade must go on as it began.
    assert generator(0, 0, "a.avi").integers(0, 1000, 6).tolist() == [325, 306, 446, 712, 933, 50]


def test_multi_scale_boxes_are_the_published_ones():
    # Short side 256: 256, 224, 192 and 168 (int(168.96)), paired with their neighbours.
    pairs = {(256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 224), (192, 192),
             (192, 168), (168, 192), (168, 168)}  # fmt: skip
    legal = set()
    for w, h in pairs:
        x, y = (340 - w) // 4, (256 - h) // 4
        legal |= {Box(a * x, b * y, w, h) for a, b in ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2))}
    seen = {changes.box for changes in draws(2000)}
    assert seen == legal


def test_random_resized_boxes_have_the_area_and_the_aspect_asked_for():
    kinds = Augmentation(crop="random_resized", flip=0, jitter=0, grey=0)
    boxes = [changes.box for changes in draws(kinds=kinds)]
    areas = [box.width * box.height / (256 * 340) for box in boxes]
    assert min(areas) > 0.075
    assert max(areas) <= 1
    assert min(areas) < 0.15 < 0.6 < max(areas)  # all of the range is used
    for box in boxes:
        assert 0.72 < box.width / box.height < 1.38
        assert 0 <= box.left <= 340 - box.width
        assert 0 <= box.top <= 256 - box.height


def test_a_panorama_that_no_random_box_fits_is_cropped_at_the_centre():
    kinds = Augmentation(crop="random_resized", flip=0, jitter=0, grey=0)
    (changes,) = draws(1, kinds, height=10, width=2000, size=8)
    assert changes.box == Box((2000 - 13) // 2, 0, 13, 10)


def test_each_change_is_as_frequent_as_asked():
    changes = draws(2000)
    assert np.mean([c.flip for c in changes]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([bool(c.colours) for c in changes]) == pytest.approx(0.8, abs=0.05)
    assert np.mean([c.grey for c in changes]) == pytest.approx(0.2, abs=0.05)
    off = draws(50, Augmentation(crop="center", flip=0, jitter=0, grey=0))
    assert {(c.flip, c.colours, c.grey) for c in off} == {(False, (), False)}
    assert {c.box for c in off} == {Box(58, 16, 224, 224)}


def test_amounts_stay_in_the_published_ranges_and_the_order_varies():
    colours = [c.colours for c in draws(500) if c.colours]
    assert len({tuple(name for name, _ in each) for each in colours}) == 24
    for name, low, high in (
        ("brightness", 0.6, 1.4),
        ("contrast", 0.6, 1.4),
        ("saturation", 0.8, 1.2),
        ("hue", -0.1, 0.1),
    ):
        amounts = [dict(each)[name] for each in colours]
        assert low <= min(amounts) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(amounts) <= high


def test_a_clip_has_one_draw():
    still = np.repeat(noise(1, 40, 60), 4, axis=0)
    for changes in draws(30, height=40, width=60, size=32):
        clip = apply_changes(still, changes, 32)
        assert clip.shape == (4, 32, 32, 3)
        assert (clip == clip[0]).all()


def test_cropping_scaling_and_flipping_are_those_of_a_plain_loop():
    frames = noise(3, 30, 50)
    clip = changed(frames, flip=True, box=Box(7, 3, 21, 25))
    for frame, got in zip(frames, clip, strict=True):
        part = Image.fromarray(frame).crop((7, 3, 28, 28)).resize((16, 16), Image.BILINEAR)
        assert (got == np.asarray(part)[:, ::-1]).all()


def test_brightness_multiplies():
    frames = noise()
    plain = np.clip(np.rint(frames * 1.3), 0, 255)
    assert (changed(frames, ("brightness", 1.3)) == plain).all()


def test_contrast_moves_from_the_mean_of_the_clip():
    frames = noise()
    grey = frames @ np.array([0.299, 0.587, 0.114])
    level = round(float(grey.mean()))
    plain = np.clip(level + 0.7 * (frames.astype(float) - level), 0, 255)
    assert np.abs(changed(frames, ("contrast", 0.7)) - plain).max() <= 1.5


def test_saturation_moves_from_grey():
    frames = noise()
    grey = (frames @ np.array([0.299, 0.587, 0.114]))[..., None]
    plain = np.clip(grey + 1.2 * (frames - grey), 0, 255)
    assert np.abs(changed(frames, ("saturation", 1.2)) - plain).max() <= 2


def test_hue_turns():
    frames = noise()
    turned = changed(frames, ("hue", 0.1))
    for pixel, got in zip(frames.reshape(-1, 3)[:200], turned.reshape(-1, 3), strict=False):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        plain = np.array(colorsys.hsv_to_rgb((hue + 0.1) % 1, saturation, value)) * 255
        assert np.abs(got - plain).max() <= 8  # hue has 256 steps
        assert abs(int(got.max()) - int(pixel.max())) <= 1


def test_grey_has_no_colour_left():
    frames = noise()
    clip = changed(frames, grey=True)
    plain = frames @ np.array([0.299, 0.587, 0.114])
    assert (clip == clip[..., :1]).all()
    assert np.abs(clip[..., 0] - plain).max() <= 1


def test_colours_change_in_the_order_drawn():
    frames = noise()
    brightness, grey_last = ("brightness", 1.4), ("saturation", 0.8)
    once = changed(changed(frames, brightness), grey_last)
    assert (changed(frames, brightness, grey_last) == once).all()
    assert (changed(frames, grey_last, brightness) != once).any()


def test_frames_that_are_kept_are_never_written_to():
    frames = noise()
    before = frames.copy()
    for name in augment.__dict__["_COLOURS"]:
        changed(frames, (name, 0.9), flip=True, grey=True)[...] = 0
    changed(frames)[...] = 0
    assert (frames == before).all()
