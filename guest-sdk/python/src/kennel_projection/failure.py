"""How a projection says that it could not handle an event, and what becomes of any other exception.

One rule: :class:`Retry` asks for another attempt; everything else rejects the event, with type, message and stack.
"""

import linecache
import re
import traceback
from types import TracebackType

from . import _host, _modules

_FRAMES_MAX = 12
_CAUSES_MAX = 5
# The host keeps half of it, and takes no more than some megabytes.
_REASON_CHARACTERS_MAX = 4096
_PACKAGE = __file__.rpartition("/")[0] + "/" if "/" in __file__ else __file__
# componentize-py mounts each folder of modules under a number.
_MOUNT = re.compile(r"^/[0-9]+/")


class Retry(Exception):
    """Try again: what went wrong may pass. The host does so after a pause, then follows the operator's policy."""


class Reject(Exception):
    """This event can never be handled by this code. The host gets the message alone, without a stack."""


def reason(error: BaseException) -> str:
    """The text of an exception for the host: for a stack, innermost frame first, because the host cuts long texts."""
    if isinstance(error, MemoryError):
        # What the frames hold is what there is too much of. The text takes memory too.
        traceback.clear_frames(error.__traceback__)
    try:
        return _cut("\n".join(_parts(error)))
    except BaseException as other:
        return f"{type(error).__name__} (no text: {type(other).__name__})"


def _parts(error: BaseException) -> list[str]:
    if isinstance(error, (Retry, Reject)):
        parts = [_message(error) or type(error).__name__]
        cause = error.__cause__
    else:
        parts = [_described(error)]
        cause = _cause(error)
    if isinstance(error, BaseExceptionGroup):
        parts += ["with " + _described(each) for each in error.exceptions[:_CAUSES_MAX]]
    seen = {id(error)}
    while cause is not None and len(seen) <= _CAUSES_MAX and id(cause) not in seen:
        parts.append("because of " + _described(cause))
        seen.add(id(cause))
        cause = _cause(cause)
    return parts


def _cut(text: str) -> str:
    shown = text if len(text) <= _REASON_CHARACTERS_MAX else text[: _REASON_CHARACTERS_MAX - 1] + "…"
    return shown.encode(errors="replace").decode()


def keep_sources() -> None:
    """Keeps the text of the projection's modules, so that stacks show lines where no files are."""
    for module in _modules.loaded():
        file = str(module.__file__)
        lines = linecache.getlines(file)
        # Without a time of change, the entry is never compared with a file.
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)


def _described(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    message = _message(error)
    first = _cut(f"{name}: {message}" if message else name)
    return "\n".join([first, *_notes(error), *_stack(error.__traceback__)])


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as other:
        return f"(no text: {type(other).__name__})"


def _notes(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    found = [note for note in notes if isinstance(note, str)] if isinstance(notes, (list, tuple)) else []
    return [*found, *_remedy(error)] if _host.IS_WASM else found


def _remedy(error: BaseException) -> list[str]:
    """How to have what a component has no files for."""
    if isinstance(error, ImportError):
        return ["(modules are loaded when the component is built: import this one at the top of yours)"]
    if type(error) is LookupError and "encoding" in _message(error):
        return ["(codecs are loaded when the component is built: import encodings.NAME at the top of your module)"]
    if type(error).__name__ == "ZoneInfoNotFoundError":
        return ["(time zones are read when the component is built: make this one at the top of your module)"]
    return []


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def _stack(traceback: TracebackType | None) -> list[str]:
    frames: list[tuple[str, int, str]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        # What leads from the host to the handler means nothing.
        if frames or not code.co_filename.startswith(_PACKAGE):
            frames.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    lines: list[str] = []
    repeated = 0
    last = None
    for frame in reversed(frames):
        if frame == last:
            repeated += 1
            continue
        if repeated:
            lines.append(f"  ({repeated} more of the same)")
        if len(lines) >= _FRAMES_MAX:
            return [*lines, "  …"]
        lines.append(_line(*frame))
        last, repeated = frame, 0
    return [*lines, f"  ({repeated} more of the same)"] if repeated else lines


def _line(file: str, number: int, function: str) -> str:
    shown = _MOUNT.sub("", file) if _host.IS_WASM else file
    source = linecache.getline(file, number).strip()
    return f"  at {shown}:{number} in {function}" + (f": {source}" if source else "")
