from types import ModuleType

__all__ = ["KeptModule", "keep_modules", "keep_package"]

packages: list[str]

class KeptModule:
    def __init__(self, module: ModuleType) -> None: ...

def keep_package(name: str) -> None: ...
def keep_modules() -> None: ...
