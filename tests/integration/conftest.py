"""Fixtures of the integration tests: real servers, and `run_program`, which runs a function of programs/.

Each server is started on loopback when the first test asks for it, with its data in a temporary folder, and stopped
after the last. A test whose server is not installed is skipped, and the reason has the server's name.
"""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from places import CHECKOUT
from processes import run_python
from real_servers import data_folder, find_program, free_port, serving, user_for, wait_until_ready

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def run_program():
    """Run a function of a file in programs/ in a fresh process that is patched; return what it printed.

    It must end with `status` and say nothing on its standard error, or `stderr` (a string).
    """

    def run(name, function, *args, status=0, stderr=None, env=None, options=()):
        arguments = [PROGRAMS / "run.py", *options, name, function, *args]
        return run_python(arguments, PROGRAMS, status, stderr, 100, env)

    run.folder = PROGRAMS
    return run


@pytest.fixture(name="find_program")
def _find_program():
    """The function find_program(), which skips the test if there is no such program."""
    return find_program


@pytest.fixture(scope="session")
def redis_port():
    """The port of a redis server."""
    program, port = find_program("redis-server"), free_port()
    with data_folder(None) as folder:
        command = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        with serving([str(each) for each in command], port, None, folder):
            yield port


@pytest.fixture(scope="session")
def postgresql():
    """The connection string of a PostgreSQL server."""
    folders = [str(each) for each in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    initdb, program = find_program("initdb", folders=folders), find_program("postgres", folders=folders)
    user, port = user_for("postgres"), free_port()
    with data_folder(user) as folder:
        data = os.path.join(folder, "data")
        command = [initdb, "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D", data]
        subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True)
        settings = ["unix_socket_directories=", "max_connections=100", "fsync=off", "listen_addresses=127.0.0.1"]
        command = [program, "-D", data, "-p", str(port), *[part for each in settings for part in ("-c", each)]]
        # By SIGINT: the server ends without waiting for its clients.
        with serving(command, port, user, folder, stop_with=signal.SIGINT):
            dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
            wait_until_ready([find_program("pg_isready", folders=folders), "-q", "-d", dsn])
            yield dsn


@pytest.fixture(scope="session")
def mariadb_port():
    """The port of a MariaDB server, whose user root has no password."""
    install, program = find_program("mariadb-install-db"), find_program("mariadbd", "mysqld")
    user, port = user_for("mysql"), free_port()
    as_user = [] if user is None else [f"--user={user}"]
    with data_folder(user) as folder:
        data = os.path.join(folder, "data")
        command = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        subprocess.run([*command, "--skip-test-db", *as_user], check=True, capture_output=True, cwd=folder)
        command = [program, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1"]
        command += [f"--socket={folder}/socket", f"--pid-file={folder}/pid", "--skip-name-resolve", *as_user]
        command += ["--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        with serving(command, port, None, folder):
            yield port


NGINX = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 200; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream application {{ server unix:{folder}/socket; keepalive 4; }}
    {servers}
}}
"""
SERVERS = """
    server {
        listen 80;
        location / {
            proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https; proxy_request_buffering off;
        }
    }
"""


@pytest.fixture
def nginx():
    """An nginx in front of a server that listens on the Unix socket `socket` in a folder: (nginx's URL, the folder)."""
    with an_nginx(SERVERS) as served:
        yield served


@pytest.fixture
def nginx_for_websockets():
    """An nginx like that, with the configuration for WebSockets of docs/guides/behind_a_proxy.md."""
    page = (CHECKOUT / "docs" / "guides" / "behind_a_proxy.md").read_text()
    (servers,) = re.findall(
        r"^    map \$http_upgrade .*?^    }\n    server {\n.*?^    }\n", page, re.DOTALL | re.MULTILINE
    )
    with an_nginx(servers) as served:
        yield served


@contextlib.contextmanager
def an_nginx(servers):
    program, port = find_program("nginx"), free_port()
    with data_folder(None) as folder:
        os.chmod(folder, 0o755)
        config = Path(folder, "nginx.conf")
        config.write_text(
            NGINX.format(folder=folder, servers=servers.replace("listen 80;", f"listen 127.0.0.1:{port};"))
        )
        with serving([program, "-p", folder, "-c", str(config)], port, None, folder):
            yield f"http://127.0.0.1:{port}", folder
