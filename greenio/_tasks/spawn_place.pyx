"""The place where a greenlet was made: the frames that led to its spawn, and how many of them are recorded.

A record has two words for each frame, which become text only when somebody asks. The recording itself stands in
spawn_place.pxd, so that it is compiled into the functions that spawn.
"""

from hub.report import program_frame

__all__ = ["SpawnFrame", "set_spawning_stack_limit", "set_track_tree"]

cdef bint track_tree = True
cdef int stack_limit = 10


def set_spawning_stack_limit(int value):
    """Set how many frames of the place of spawning are recorded, 1 to 32 (config.spawning_stack_limit)."""
    global stack_limit
    stack_limit = min(max(value, 1), 32)


def set_track_tree(bint value):
    """Set whether new greenlets record their spawner and the place (config.track_greenlet_tree)."""
    global track_tree
    track_tree = value


class SpawnFrame:
    """One frame of the place where a greenlet was made: `f_code`, `f_lineno`, `f_back`; light, and safe to keep."""

    __slots__ = ("f_code", "f_lineno", "f_back")

    f_globals = None

    def __init__(self, code, line, back):
        self.f_code = code
        self.f_lineno = line
        self.f_back = back

    def __repr__(self):
        return f"<frame {place_text(self)}>"


cdef str place_text(object frame):
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


cdef object frames_of(stack_t *stack):
    """The recorded frames, innermost first, linked by `f_back`; None for none."""
    cdef int i
    frame = None
    if stack != NULL:
        for i in range(stack.length - 1, -1, -1):
            line = line_of(stack.places[i].code, stack.places[i].instruction)
            frame = SpawnFrame(<object> stack.places[i].code, line, frame)
    return frame


cdef str format_place(stack_t *stack):
    """The innermost frame of the program as `file:line in function`, or of a library if there is no other; or ""."""
    innermost = frames_of(stack)
    frame = program_frame(innermost) or innermost
    return "" if frame is None else place_text(frame)
