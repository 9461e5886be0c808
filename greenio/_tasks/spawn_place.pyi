from types import CodeType

__all__ = ["SpawnFrame", "set_spawning_stack_limit", "set_track_tree"]

class SpawnFrame:
    f_code: CodeType
    f_lineno: int
    f_back: SpawnFrame | None
    f_globals: None
    def __init__(self, code: CodeType, line: int, back: SpawnFrame | None) -> None: ...

def set_spawning_stack_limit(value: int) -> None: ...
def set_track_tree(value: bool) -> None: ...
