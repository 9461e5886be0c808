from types import ModuleType

__all__ = ["adapt"]

def adapt(pycares: ModuleType) -> None: ...
