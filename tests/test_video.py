"""Decoding: each frame is the one asked for, from whole files and from damaged ones.

The pictures say their own number, so no decoder is needed to know what should come out.
"""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import (
    is_upright,
    picture,
    read_number,
    read_numbers,
    write_mp4_index_first,
    write_sound,
    write_video,
)

from adapt.frames import clip_frames
from adapt.video import VideoError, check_decoder, decode, probe
from adapt.video_decord import decode_decord, has_decord, known_fault
from adapt.video_probe import read_packets
from describe.errors import UserError

needs_decord = pytest.mark.skipif(not has_decord(), reason="no decord for this machine")
DECODERS = ["pyav", pytest.param("decord", marks=needs_decord), "auto"]
KINDS = {
    "program.mpg": {"codec": "mpeg2video", "fps": 25},
    "transport.ts": {"codec": "libx264", "bf": "2"},
    "h264.mp4": {"codec": "libx264"},
    "reordered.mkv": {"codec": "libx264", "bf": "3"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "uneven.mp4": {
        "codec": "libx264",
        "stamps_ms": np.cumsum(np.random.default_rng(0).integers(5, 400, 40)).tolist(),
    },
}
ODD = [picture(i, 47, 63) for i in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


UNSEEN_BY_DECORD = ("program.mpg", "transport.ts")


@pytest.fixture(scope="module", params=KINDS)
def video(request, folder):
    return write_video(folder / request.param, **KINDS[request.param])


def is_refused(video: Path, decoder: str) -> bool:
    """Whether decord refuses the video, as it must one of these."""
    if decoder != "decord" or video.name not in UNSEEN_BY_DECORD:
        return False
    with pytest.raises(VideoError, match="decord cannot be trusted with the format mpeg"):
        decode(video, [0], short_side=None, decoder=decoder)
    return True


@pytest.mark.parametrize("decoder", DECODERS)
def test_each_frame_is_the_one_asked_for(video, decoder):
    if is_refused(video, decoder):
        return
    assert read_numbers(decode(video, range(40), short_side=None, decoder=decoder)) == [*range(40)]
    for indices in ([0], [39], [5, 17, 31], [12, 12, 3], [9, 10, 11, 38], [30, 2, 16]):
        frames = decode(video, indices, short_side=None, decoder=decoder)
        assert read_numbers(frames) == indices
        assert is_upright(frames[0])


@pytest.mark.parametrize("decoder", DECODERS)
def test_frames_are_scaled_as_they_are_decoded(video, decoder):
    if is_refused(video, decoder):
        return
    frames = decode(video, lambda info: [info.num_frames - 1], short_side=96, decoder=decoder)
    assert frames.shape == (1, 96, 128, 3)
    assert frames.dtype == np.uint8
    assert read_number(frames[0]) == 39


def test_what_is_chosen_from_is_what_is_there(video):
    info = probe(video)
    assert (info.num_frames, info.height, info.width) == (40, 48, 64)
    with pytest.raises(IndexError):
        decode(video, [40], short_side=None)


@pytest.mark.parametrize("decoder", DECODERS)
def test_odd_sizes(folder, decoder):
    video = write_video(folder / "odd.mp4", ODD, codec="libx264", pix_fmt="yuv444p")
    assert decode(video, [3], short_side=None, decoder=decoder).shape == (1, 47, 63, 3)
    assert read_numbers(decode(video, [3, 21], short_side=33, decoder=decoder)) == [3, 21]


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("decoder", ["pyav", "auto"])
def test_a_rotated_video_is_upright(folder, rotation, decoder):
    # Stored turned by as much clockwise as the file says to turn it back.
    stored = [np.ascontiguousarray(np.rot90(picture(i), -rotation // 90)) for i in range(20)]
    path = folder / f"{rotation}.mp4"
    video = write_video(path, stored, codec="libx264", rotation=rotation)
    info = probe(video)
    assert (info.height, info.width) == (48, 64)
    frames = decode(video, [4, 13], short_side=24, decoder=decoder)
    assert frames.shape == (2, 24, 32, 3)
    assert read_numbers(frames) == [4, 13]
    assert all(map(is_upright, frames))


def test_a_codec_that_decord_lacks_is_left_to_pyav(folder):
    stored = [picture(i, 64, 64) for i in range(20)]
    video = write_video(folder / "av1.mp4", stored, codec="libsvtav1", preset="12")
    assert read_numbers(decode(video, [0, 7, 19], short_side=None)) == [0, 7, 19]


@needs_decord
def test_decord_refuses_what_it_reads_wrongly(folder):
    stored = [np.ascontiguousarray(np.rot90(picture(i))) for i in range(5)]
    video = write_video(folder / "turned.mp4", stored, codec="libx264", rotation=270)
    with pytest.raises(VideoError, match="decord cannot be trusted with a rotated video"):
        decode(video, [0], short_side=None, decoder="decord")


@needs_decord
def test_decord_is_what_decodes_where_it_can(folder, monkeypatch):
    video = write_video(folder / "plain.mp4", 10, codec="libx264")

    def broken(*arguments):
        raise AssertionError

    monkeypatch.setattr("adapt.video.decode_pyav", broken)
    assert read_numbers(decode(video, [8], short_side=None)) == [8]


def test_without_decord_pyav_decodes(folder, monkeypatch):
    video = write_video(folder / "again.mp4", 10, codec="libx264")
    monkeypatch.setitem(sys.modules, "decord", None)
    monkeypatch.setattr("adapt.video.has_decord", lambda: False)
    assert read_numbers(decode(video, [8], short_side=None)) == [8]
    with pytest.raises(UserError, match="decord is not installed; use --decoder auto or pyav"):
        check_decoder("decord")


def test_start_and_end_bound_what_is_chosen_from(video):
    if video.name == "uneven.mp4":
        stamps = KINDS[video.name]["stamps_ms"]
        shown = [s - stamps[0] for s in stamps]
    else:
        shown = [(40 if video.name == "program.mpg" else 100) * i for i in range(40)]
    inside = [i for i, ms in enumerate(shown) if 1050 <= ms < 1450]
    for decoder in ("pyav", "auto"):
        frames = decode(
            video,
            lambda info: range(info.num_frames),
            short_side=None,
            decoder=decoder,
            start_seconds=1.05,
            end_seconds=1.45,
        )
        assert read_numbers(frames) == inside
    assert probe(video, start_seconds=1.05).num_frames == len([ms for ms in shown if ms >= 1050])
    with pytest.raises(VideoError, match=r"no frame from 90 s to 100 s; the last is at \d+\.\d+ s"):
        probe(video, 90, 100)


def test_one_frame(folder):
    video = write_video(folder / "one.mp4", 1, codec="libx264")
    frames = decode(video, lambda info: clip_frames(info.num_frames, 4)[0], short_side=None)
    assert read_numbers(frames) == [0, 0, 0, 0]


def test_a_header_that_counts_wrong_is_not_believed(folder):
    video = write_video(folder / "counted.avi", 20)
    data = bytearray(video.read_bytes())
    at = data.index(b"strh") + 8 + 32  # the stream's length, in frames
    assert int.from_bytes(data[at : at + 4], "little") == 20
    for count in (7, 4000):
        data[at : at + 4] = count.to_bytes(4, "little")
        (folder / "miscounted.avi").write_bytes(data)
        for decoder in ("pyav", "auto"):
            frames = decode(folder / "miscounted.avi", range(20), short_side=None, decoder=decoder)
            assert read_numbers(frames) == [*range(20)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"not a video\n" * 100, "Invalid data"),
        ("noise.avi", bytes(range(256)) * 40, "Invalid data"),
    ],
)
def test_what_is_no_video_is_named(folder, name, content, reason):
    (folder / name).write_bytes(content)
    for decoder in ("pyav", "auto"):
        with pytest.raises(VideoError, match=reason) as error:
            decode(folder / name, [0], short_side=None, decoder=decoder)
        assert str(error.value).startswith(str(folder / name))


def test_a_missing_file_a_folder_an_unknown_codec_and_sound_alone_are_named(folder):
    with pytest.raises(VideoError, match="No such file"):
        decode(folder / "missing.mp4", [0], short_side=None)
    with pytest.raises(VideoError, match="Is a directory"):
        decode(folder, [0], short_side=None)
    strange = folder / "strange.mp4"
    write_mp4_index_first(strange)
    strange.write_bytes(strange.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match="coded in a way that is not known"):
        decode(strange, [0], short_side=None)
    with pytest.raises(VideoError, match="no video in it"):
        decode(write_sound(folder / "sound.m4a"), [0], short_side=None)


def test_a_video_cut_short_is_decoded_as_far_as_it_goes(folder):
    whole, cut = folder / "whole.mp4", folder / "cut.mp4"
    places = write_mp4_index_first(whole)
    for count in (39, 30, 21):
        cut.write_bytes(whole.read_bytes()[: places[count] + 3])  # and three bytes of the next
        assert probe(cut).num_frames in (count, count + 1)
        for decoder in ("pyav", "auto"):
            numbers = read_numbers(decode(cut, range(count), short_side=None, decoder=decoder))
            assert numbers == [*range(count)]
            assert read_numbers(decode(cut, [5, count - 1], short_side=None, decoder=decoder)) == [
                5,
                count - 1,
            ]
    cut.write_bytes(whole.read_bytes()[: places[15]])
    with pytest.raises(VideoError, match=r"cut short: 15 of 40 frames are there"):
        probe(cut)
    avi = write_video(folder / "whole.avi")
    cut = folder / "cut.avi"  # its index is at its end, and not needed
    cut.write_bytes(avi.read_bytes()[: avi.stat().st_size * 6 // 10])
    count = probe(cut).num_frames
    assert 10 < count < 40
    assert read_numbers(decode(cut, range(count - 1), short_side=None)) == [*range(count - 1)]
    tail = write_video(folder / "tail.mp4", codec="libx264")  # its index is at its end
    cut.write_bytes(tail.read_bytes()[: tail.stat().st_size // 2])
    with pytest.raises(VideoError, match="Invalid data"):
        probe(cut)


def test_a_damaged_stretch_costs_no_more_than_the_frames_up_to_the_next_key_frame(folder):
    damaged = folder / "damaged.mp4"
    places = write_mp4_index_first(damaged)
    assert read_packets(damaged).keys == (0, 10, 20, 30)
    data = bytearray(damaged.read_bytes())
    data[places[13] : places[15]] = bytes(places[15] - places[13])
    damaged.write_bytes(data)
    for decoder in ("pyav", "auto"):
        numbers = read_numbers(decode(damaged, range(40), short_side=None, decoder=decoder))
        assert numbers[:13] == [*range(13)]
        assert numbers[20:] == [*range(20, 40)]
        assert numbers != [*range(40)]
        # What is missing is replaced by what was shown before it, never by what comes after.
        assert all(number <= place for place, number in enumerate(numbers))


def test_a_video_of_which_less_than_half_can_be_decoded_is_named(folder):
    ruined = folder / "ruined.mp4"
    places = write_mp4_index_first(ruined)
    data = bytearray(ruined.read_bytes())
    for place, following in zip(places[1:], [*places[2:], len(data)], strict=True):
        data[place:following] = b"\xff" * (following - place)
    ruined.write_bytes(data)
    with pytest.raises(VideoError, match=r"damaged: 1 of 8 frames can be decoded"):
        decode(ruined, range(0, 40, 5), short_side=None, decoder="pyav")


@pytest.mark.parametrize("name", ["h264.mp4", "reordered.mkv", "mpeg4.avi", "transport.ts"])
def test_whatever_is_damaged_there_are_frames_or_the_file_is_named(folder, name):
    rng = np.random.default_rng(0)
    whole = write_video(folder / f"damaged-{name}", **KINDS[name]).read_bytes()
    kinds = Counter()
    for _ in range(20):
        data = np.frombuffer(whole, np.uint8).copy()
        reach = len(data) if rng.random() < 0.5 else 2000  # headers are where it hurts most
        data[rng.integers(0, reach, rng.choice([1, 5, 50]))] ^= rng.integers(1, 256, dtype=np.uint8)
        damaged = folder / f"changed-{name}"
        damaged.write_bytes(data[: rng.integers(1, len(data)) if rng.random() < 0.3 else None])
        try:
            frames = decode(damaged, lambda i: clip_frames(i.num_frames, 4)[0], short_side=24)
        except VideoError as error:
            kinds["named"] += error.path == damaged
        else:
            kinds["decoded"] += frames.shape[0] == 4
    assert kinds["named"] + kinds["decoded"] == 20
    assert min(kinds["named"], kinds["decoded"]) > 0


@pytest.mark.shared
def test_the_real_clips_decode_and_both_decoders_agree(shared):
    clips = [p for d in ("ucf101", "hmdb51", "k400") for p in (shared / "videos" / d).glob("*/*")]
    assert len(clips) == 31
    how = Counter()
    for clip in clips:
        how[_compare(clip)] += 1
    # Left to PyAV: HMDB's four and the five of ApplyEyeMakeup, which reorder frames in an AVI.
    assert how == ({"both": 22, "pyav": 9} if has_decord() else {"pyav": 31})


def _compare(clip: Path) -> str:
    """Whether a clip is decoded by both; frames must be equal, scaled ones nearly so."""
    info = probe(clip)
    indices = clip_frames(info.num_frames, 8)[0]
    some = decode(clip, indices, short_side=None, decoder="pyav")
    with av.open(str(clip), metadata_errors="ignore") as container:  # from the start, no seeking
        plain = {i: f for i, f in enumerate(container.decode(video=0)) if i in indices}
    assert all(
        (plain[i].to_ndarray(format="rgb24") == frame).all()
        for i, frame in zip(indices, some, strict=True)
    )
    packets = read_packets(clip)
    if not has_decord() or known_fault(packets):
        return "pyav"
    theirs = decode_decord(packets, indices.tolist(), (info.height, info.width))
    assert np.abs(theirs.astype(int) - some).max() <= 3
    assert np.abs(theirs.astype(int) - some).mean() < 0.01
    scaled = decode(clip, indices, short_side=224, decoder="pyav").astype(int)
    apart = np.abs(decode(clip, indices, short_side=224, decoder="decord") - scaled)
    assert apart.mean() < 0.5
    return "both"


@pytest.mark.shared
def test_names_and_titles_need_not_be_utf8(shared, tmp_path):
    (clip,) = (shared / "videos" / "hmdb51" / "cartwheel").glob("*.avi")
    path = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9 \xff.avi"))
    shutil.copyfile(clip, path)
    assert (decode(path, [3], short_side=64) == decode(clip, [3], short_side=64)).all()
