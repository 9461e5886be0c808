"""boto3: requests of one client side by side."""

import pytest


def test_boto3_stores_objects_and_goes_on_after_a_timeout(run_program, tmp_path):
    pytest.importorskip("boto3")
    # boto3 must not read the user's own settings and credentials.
    env = {"AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    assert run_program("aws", "objects", env=env) == "True\ntimeout\ngone\n/after/x\nTrue\n"
