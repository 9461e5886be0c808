from greenio.resolver.names import NamesResolver

__all__ = ["Resolver"]

class Resolver(NamesResolver): ...
