from hub.hub import Hub

__all__ = ["Home", "count_homes", "home_of_new_threads"]

class Home:
    hub: Hub
    native_ident: int | None
    def leave(self) -> None: ...

def home_of_new_threads() -> Home | None: ...
def count_homes() -> int: ...
