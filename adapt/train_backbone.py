"""Where a backbone comes from: a file, a folder, the hub, or the miniature one that is shipped."""

from pathlib import Path

from adapt.backbone import ViCLIP
from adapt.checkpoint import load_backbone
from describe.errors import UserError

MINIATURE = "miniature"


def open_backbone(
    source: str, *, num_frames: int | None = None, image_size: int | None = None
) -> ViCLIP:
    """Load the backbone that `--backbone` names.

    Args:
        source: `miniature`, or what `adapt.checkpoint.load_backbone` reads.
        num_frames: Frames of a clip, where not the backbone's own.
        image_size: Pixels of a frame's side, where not the backbone's own.

    Raises:
        UserError: It cannot be loaded.
    """
    if source == MINIATURE:
        from adapt.miniature_weights import load_miniature_backbone

        backbone = load_miniature_backbone()
        sizes = backbone.config
        wanted = (num_frames or sizes.num_frames, image_size or sizes.image_size)
        if wanted != (sizes.num_frames, sizes.image_size):
            raise UserError(
                f"the miniature backbone sees {sizes.num_frames} frames of {sizes.image_size} "
                "pixels; leave out --num-frames and --image-size"
            )
    else:
        return load_backbone(source, num_frames=num_frames, image_size=image_size)
    return backbone


def lasting_source(source: str) -> str:
    """Return `source` so that it is found from another folder too: a path in full."""
    path = Path(source).expanduser()
    return str(path.resolve()) if source != MINIATURE and path.exists() else source
