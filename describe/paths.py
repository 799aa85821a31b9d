"""Where files live: what ships with the code, and what a run makes."""

import os
from pathlib import Path

from describe.errors import UserError

_PACKAGE = Path(__file__).parent

# In a checkout `prompts/` and `data/` stand beside this package; a wheel carries them inside it.
SHIPPED = _PACKAGE if (_PACKAGE / "prompts").is_dir() else _PACKAGE.parent


def workspace() -> Path:
    """Return the folder of replies and description sets, made on first use.

    `DESCRIBE_HOME`, else `$XDG_DATA_HOME/describe`, else `~/.local/share/describe`. This is a data
    folder and not a cache folder: replies cost money, so no cleaner may delete them.

    Raises:
        UserError: The folder cannot be made or written; the message names it.
    """
    try:
        data_home = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
        path = Path(os.environ.get("DESCRIBE_HOME") or data_home / "describe").expanduser()
        path.mkdir(parents=True, exist_ok=True)
    except RuntimeError as error:  # no HOME, and no entry for this user
        raise UserError("no home folder; set DESCRIBE_HOME to a folder for the replies") from error
    except OSError as error:
        raise UserError(
            f"cannot make the workspace {error.filename}: {error.strerror}; set DESCRIBE_HOME"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"the workspace {path} is read-only; set DESCRIBE_HOME to another folder")
    return path
