"""What training changes in a clip: drawn once a clip, the same for each of its frames.

Everything is a function of (seed, epoch, video, view), whichever process draws it and whatever was
drawn before. Frames are uint8 until the end, so a colour is rounded after each change, as in PIL.

Shapes: T frames, H and W in pixels; a clip is (T, H, W, 3), uint8.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapt.frames import Box, center_box
from adapt.video_config import Crop

Clip = NDArray[np.uint8]

# Of ViFi-CLIP and X-CLIP, whose recipe the paper follows.
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.2, 0.1
SCALES = (1.0, 0.875, 0.75, 0.66)
# Of Inception-style training (torchvision's RandomResizedCrop).
AREA = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
_CROP_TRIES = 10


def generator(seed: int, epoch: int, video: str, view: int = 0) -> np.random.Generator:
    """Return the random numbers of one clip. Counter-based: no draw depends on another clip's."""
    text = f"{seed}\0{epoch}\0{view}\0{video}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How likely each change of a clip is."""

    crop: Crop
    flip: float
    jitter: float
    grey: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What is done to one clip."""

    box: Box
    flip: bool
    colours: tuple[tuple[str, float], ...]
    """Name and amount of each change of colour, in the order in which they are made."""

    grey: bool


def draw_changes(
    height: int, width: int, size: int, kinds: Augmentation, rng: np.random.Generator
) -> Changes:
    """Draw what is done to a clip whose frames are `height` x `width`.

    The random numbers are taken in a fixed order: box, flip, colours, grey.
    """
    box = _BOXES[kinds.crop](height, width, size, rng)
    flip = bool(rng.random() < kinds.flip)
    jitter = rng.random() < kinds.jitter
    amounts = (
        ("brightness", rng.uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS)),
        ("contrast", rng.uniform(1 - CONTRAST, 1 + CONTRAST)),
        ("saturation", rng.uniform(1 - SATURATION, 1 + SATURATION)),
        ("hue", rng.uniform(-HUE, HUE)),
    )
    order = rng.permutation(len(amounts))
    return Changes(
        box=box,
        flip=flip,
        colours=tuple(amounts[i] for i in order) if jitter else (),
        grey=bool(rng.random() < kinds.grey),
    )


def apply_changes(frames: Clip, changes: Changes, size: int) -> Clip:
    """Return the clip cropped, scaled to `size` x `size`, flipped and coloured: (T, size, size, 3).

    Scaling is bilinear, with as many pixels in each mean as the scale asks for.
    """
    clip = crop_and_scale(frames, changes.box, size)
    if changes.flip:
        clip = np.ascontiguousarray(clip[:, :, ::-1])
    if not changes.colours and not changes.grey:
        return clip
    # One tall picture: PIL is called once a change and not once a frame.
    tall = Image.fromarray(clip.reshape(-1, size, 3))
    for name, amount in changes.colours:
        tall = _COLOURS[name](tall, amount)
    if changes.grey:
        tall = tall.convert("L").convert("RGB")
    return np.array(tall).reshape(clip.shape)


def crop_and_scale(frames: Clip, box: Box, size: int) -> Clip:
    """Cut `box` out of every frame and scale it to `size` x `size`."""
    left, top, width, height = box
    part = frames[:, top : top + height, left : left + width]
    if (width, height) == (size, size):
        return part.copy()
    scaled = np.empty((len(frames), size, size, 3), np.uint8)
    for i, frame in enumerate(part):
        picture = Image.fromarray(np.ascontiguousarray(frame))
        scaled[i] = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
    return scaled


def _center(height: int, width: int, size: int, rng: np.random.Generator) -> Box:
    return center_box(height, width, min(size, height, width))


def _multi_scale(height: int, width: int, size: int, rng: np.random.Generator) -> Box:
    """Draw one of four heights, a width at most one scale away, and a corner or the centre.

    The multi-scale crop of temporal segment networks (Wang et al., arXiv 1608.00859, section 3.3).
    """
    short = min(height, width)
    sides = [int(short * scale) for scale in SCALES]
    sides = [size if abs(side - size) < 3 and size <= short else side for side in sides]
    pairs = [(w, h) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= 1]
    w, h = pairs[rng.integers(len(pairs))]
    right, bottom = (width - w) // 4, (height - h) // 4
    places = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2))
    x, y = places[rng.integers(len(places))]
    return Box(x * right, y * bottom, w, h)


def _random_resized(height: int, width: int, size: int, rng: np.random.Generator) -> Box:
    """Draw 8 to 100% of the area, at an aspect ratio from 3/4 to 4/3; else the centre."""
    for _ in range(_CROP_TRIES):
        area = height * width * rng.uniform(*AREA)
        aspect = np.exp(rng.uniform(*np.log(ASPECT)))
        w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            return Box(int(left), int(top), w, h)
    w = min(width, round(height * ASPECT[1]))
    h = min(height, round(width / ASPECT[0]))
    return Box((width - w) // 2, (height - h) // 2, w, h)


_BOXES: dict[Crop, Callable[[int, int, int, np.random.Generator], Box]] = {
    "center": _center,
    "multi_scale": _multi_scale,
    "random_resized": _random_resized,
}


def _brightness(image: Image.Image, factor: float) -> Image.Image:
    return _blend_with_level(image, 0, factor)


def _contrast(image: Image.Image, factor: float) -> Image.Image:
    # The mean of the clip and not of each frame, or a moving bright spot would make it flicker.
    level = int(np.asarray(image.convert("L")).mean() + 0.5)
    return _blend_with_level(image, level, factor)


def _blend_with_level(image: Image.Image, level: int, factor: float) -> Image.Image:
    values = level + factor * (np.arange(256) - level)
    table = np.clip(np.rint(values), 0, 255).astype(int).tolist()
    return image.point(table * 3)


def _saturation(image: Image.Image, factor: float) -> Image.Image:
    return Image.blend(image.convert("L").convert("RGB"), image, factor)


def _hue(image: Image.Image, turns: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shift = round(turns * 255)
    turned = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


_COLOURS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}
