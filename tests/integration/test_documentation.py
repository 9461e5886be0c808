"""The code in the documents that needs other packages, or servers."""

import os

import code_blocks
import pytest
from places import CHECKOUT

SERVERS = {"postgresql", "redis-server"}
DOCUMENTS = ["docs/guides/databases.md", "docs/websocket.md"]
PROGRAMS = [each for name in DOCUMENTS for each in code_blocks.programs(CHECKOUT / name, name) if each.needs]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_code_in_a_document_runs_with_what_it_needs(program, request, tmp_path):
    for package in program.needs - SERVERS:
        pytest.importorskip(package)
    environment = dict(os.environ)
    if "postgresql" in program.needs:
        settings = dict(part.split("=") for part in request.getfixturevalue("postgresql").split())
        environment["DATABASE_URL"] = "postgresql://{user}@{host}:{port}/{dbname}".format(**settings)
    if "redis-server" in program.needs:
        environment["REDIS_URL"] = f"redis://127.0.0.1:{request.getfixturevalue('redis_port')}"
    code_blocks.run(program, tmp_path, environment)
