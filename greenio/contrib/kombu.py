"""kombu and celery: what they are told when they ask which library greenlets come from."""

__all__ = ["adapt"]


def adapt(compat):
    """Let kombu know its environment. `compat`: the module kombu.utils.compat."""
    compat._environment = "greenio"
