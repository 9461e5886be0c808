from hub.hub import Hub, _Resolver

__all__ = ["make_resolver"]

def make_resolver(hub: Hub) -> _Resolver: ...
