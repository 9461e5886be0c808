from hub.hub import Hub
from hub.protocols import Resolver

__all__ = ["make_resolver"]

def make_resolver(hub: Hub) -> Resolver: ...
