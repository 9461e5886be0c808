"""gunicorn's settings as arguments of greenio.wsgi, for GreenioWSGIWorker.

Rules
    1. A setting that is set and not supported is refused, and the error names it. So are settings of later gunicorns.
    2. A setting has the same meaning as in gunicorn. The proxies of `forwarded_allow_ips` are trusted to tell the
       scheme, but not the address.

What does not belong here: requests (requests.py).

Nothing here switches.
"""

from __future__ import annotations

from wsgiref.util import FileWrapper

from greenio._wsgi.networks import Networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Hooks", "Policy", "arguments_of", "refused"]

_PROCESSES = """
    config wsgi_app bind backlog workers worker_class worker_connections max_requests max_requests_jitter timeout
    graceful_timeout reload reload_engine reload_extra_files spew check_config print_config preload_app reuse_port chdir
    daemon raw_env pidfile worker_tmp_dir user group umask initgroups proc_name default_proc_name pythonpath paste
    raw_paste_global_conf control_socket control_socket_mode control_socket_disable dirty_apps dirty_workers
    dirty_timeout dirty_threads dirty_graceful_timeout
"""
_LOGS = """
    accesslog disable_redirect_access_to_syslog access_log_format errorlog loglevel capture_output logger_class
    logconfig logconfig_dict logconfig_json syslog_addr syslog syslog_prefix syslog_facility enable_stdio_inheritance
    statsd_host dogstatsd_tags statsd_prefix enable_backlog_metric
"""
_HOOKS = """
    on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int worker_abort pre_exec pre_request
    post_request child_exit worker_exit nworkers_changed on_exit on_dirty_starting dirty_post_fork dirty_worker_init
    dirty_worker_exit
"""
_HTTP = """
    keepalive limit_request_line limit_request_fields limit_request_field_size sendfile secure_scheme_headers
    forwarded_allow_ips proxy_protocol proxy_allow_ips keyfile certfile ssl_version ssl_context cert_reqs ca_certs
    ciphers do_handshake_on_connect
"""
_SUPPORTED = frozenset(f"{_PROCESSES} {_LOGS} {_HOOKS} {_HTTP}".split())
_LEAST_HEADER_BYTES = 65536


def refused(cfg: Any) -> list[str]:
    """Return the names of settings that are set and not supported, sorted (list of str)."""
    return sorted(
        name
        for name, setting in cfg.settings.items()
        if name not in _SUPPORTED and setting.get() != type(setting)().get()
    )


class Hooks:
    """The hooks of a request. Each is None if it is gunicorn's default, which need not be called."""

    def __init__(self, cfg: Any) -> None:
        self.pre_request = _hook(cfg, "pre_request")
        self.post_request = _hook(cfg, "post_request")

    def logs(self, log: Any) -> bool:
        """Whether a logger of gunicorn's writes an access log (bool)."""
        from gunicorn.glogging import Logger

        if type(log).access is not Logger.access:
            return True  # statsd, or a logger of the program's own
        cfg = log.cfg
        to_syslog = cfg.syslog and not cfg.disable_redirect_access_to_syslog
        return bool(cfg.accesslog or cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json or to_syslog)


def _hook(cfg, name):
    setting = cfg.settings[name]
    return None if setting.get() is type(setting)().get() else setting.get()


class Policy:
    """The settings for requests for which greenio.wsgi has no argument."""

    def __init__(self, cfg: Any) -> None:
        #: Whether a connection is closed after one request.
        self.closes = not cfg.keepalive
        #: The size of the longest field in a request's head that is allowed (bytes).
        self.field_size = cfg.limit_request_field_size or 1 << 62
        self.environ: dict[str, Any] = {} if cfg.sendfile is not False else {"wsgi.file_wrapper": FileWrapper}
        # gunicorn trusts all peers on Unix sockets.
        self._trusted = Networks([*cfg.forwarded_allow_ips, "unix"])
        self._schemes = {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in cfg.secure_scheme_headers.items()
        }
        #: The keys of an environment with which a proxy may tell its client's scheme.
        self.scheme_keys = tuple(self._schemes)

    def scheme(self, environ: dict[str, Any], peer: Any) -> str | None:
        """Return the client's scheme as a trusted proxy tells it: "http" or "https"; None if it does not.

        `peer`: the proxy's address, as the socket module has it. Raises ValueError if its fields contradict each other.
        """
        found = {"https" if environ[key] == value else "http" for key, value in self._schemes.items() if key in environ}
        if not found or not self._trusted.has_peer(peer):
            return None
        if len(found) > 1:
            raise ValueError("the fields that name the scheme contradict each other")
        return found.pop()


def arguments_of(cfg: Any) -> tuple[Hooks, Policy, dict[str, Any]]:
    """Return ``(hooks, policy, arguments)`` for gunicorn's settings. `arguments`: those of WSGIServer."""
    size = cfg.limit_request_field_size
    arguments: dict[str, Any] = {
        "idle_timeout": cfg.keepalive or None,
        "max_request_line": cfg.limit_request_line or None,
        "max_headers": cfg.limit_request_fields,
        "max_header_bytes": max(_LEAST_HEADER_BYTES, 2 * size) if size else None,
    }
    if cfg.proxy_protocol not in (None, False, "off"):
        arguments["proxy_protocol"] = [*cfg.proxy_allow_ips, "unix"]
    return Hooks(cfg), Policy(cfg), arguments
