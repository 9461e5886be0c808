__all__ = ["SOURCES", "TABLES"]

SOURCES: dict[str, str]
TABLES: dict[str, list[str | tuple[str, str]]]
