"""``python -m greenio.wsgi module:application``: serves an application from the command line.

Rules
    1. An error in the arguments, the application or the address is told in one line, and the exit status is 1.
    2. After SIGTERM or Ctrl-C, requests may finish. A second signal ends the server at once, and further ones change
       nothing. No traceback is printed, except that of a function that keeps the process from ending.
    3. With --workers, this process listens, and supervises processes that load the application and serve it.

What does not belong here: the arguments (arguments.py), and supervising workers (greenio._workers).
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import signal as _standard
import sys
import time

from hub import HubDestroyed, get_hub, sleep
from hub.native import original

from greenio._servers.addresses import address_text
from greenio._workers.listeners import Listener
from greenio._workers.options import CannotStart, Options
from greenio._workers.standard_error import hold_standard_descriptors, say
from greenio._workers.supervisor import Supervisor
from greenio._wsgi.arguments import Stop, parse
from greenio._wsgi.limits import Limits
from greenio._wsgi.loading import CannotLoad, changed_source, load, sources
from greenio._wsgi.log import COMBINED, LogFile
from greenio._wsgi.parser import need_httptools
from greenio._wsgi.server import WSGIServer
from greenio.event import Event
from greenio.greenlet import Greenlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["main"]

# The standard library's function, even in a patched program: its handlers run while an application blocks the hub.
_set_handler = original("signal", "signal")
_SOURCE_CHECK_INTERVAL = 0.5  # seconds
_SECOND_SIGNAL_LIMIT = 2.0  # seconds that the process has to end after the second signal


class _Command:
    def __init__(self, options, arguments):
        self.options = options
        self.arguments = arguments  # the command line's, for a restart
        self.servers = []
        self.context: Any = None
        self.log: Any = None
        self.over = Event()
        self.ends_at_once = False
        self.signals = 0
        self.hub: Any = None

    def load(self):
        options = self.options
        if options.chdir:
            try:
                os.chdir(options.chdir)
            except (OSError, ValueError) as error:
                raise Stop(f"--chdir: {getattr(error, 'strerror', None) or error}: {options.chdir!r}") from None
        sys.path.insert(0, os.getcwd())
        if options.patch:
            from greenio import monkey

            monkey.patch_all()
        application = load(options.application)
        if options.certfile:
            # Imported after patching, as the application is.
            from greenio import ssl

            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.load_certificate()
        return application

    def load_certificate(self):
        try:
            self.context.load_cert_chain(self.options.certfile, self.options.keyfile)
        except OSError as error:
            files = [self.options.certfile, self.options.keyfile or self.options.certfile]
            reason, names = error.strerror or str(error), " with ".join(repr(each) for each in dict.fromkeys(files))
            for path in files:
                try:
                    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                except (OSError, ValueError) as unreadable:
                    reason, names = getattr(unreadable, "strerror", None) or str(unreadable), repr(path)
                    break
            raise Stop(f"the certificate cannot be loaded: {reason}: {names}") from None

    @property
    def addresses(self):
        return self.options.bind or ["127.0.0.1:8000"]

    def make_servers(self, application):
        for address in self.addresses:
            backlog = None if address.startswith(("fd:", "systemd")) else self.options.backlog
            self.servers.append(self.make_server(address, application, backlog))

    def make_server(self, listener, application, backlog):
        options = self.options
        limits = (*Limits.names, "handshake_timeout")
        given = {name: getattr(options, name) for name in limits if hasattr(options, name)}
        if self.log is None:
            self.log = _open_log(options.access_log)
        try:
            return WSGIServer(
                listener,
                application,
                backlog=backlog,
                log=self.log,
                access_log_format=options.access_log_format or COMBINED,
                ssl_context=self.context,
                script_name=options.script_name,
                forwarded_from=options.forwarded_from,
                proxy_protocol=options.proxy_protocol,
                cancel_when_gone=options.cancel_when_gone,
                origins=options.origin,
                websocket_compression=options.websocket_compression,
                max_connections=options.max_connections,
                mode=options.mode,
                debug=options.debug,
                **given,
            )
        except (OSError, TypeError, ValueError) as error:
            raise Stop(str(error)) from None

    def start(self):
        for server in self.servers:
            try:
                server.start()
            except ImportError as error:
                raise Stop(str(error)) from None
            except OSError as error:
                raise Stop(f"cannot listen: {error.strerror or error}") from None
            except (OverflowError, ValueError) as error:
                raise Stop(f"cannot listen: {error}") from None
            _say(f"listening on {_url_of(server.address, server.ssl_enabled)} (process {os.getpid()})")

    # --- in this process ---

    def serve(self):
        """Listen, and serve until a signal ends it. Switches."""
        hub = self.hub = get_hub()
        # Signals are watched first: a program that reads "listening" may send one at once.
        watchers = []
        before = {}
        reloading = None
        try:
            watchers.append(hub.loop.signal(_standard.SIGHUP))
            watchers[-1].start(self.hang_up)
            for number in (_standard.SIGINT, _standard.SIGTERM):
                try:
                    # Python's own handlers run even while an application blocks the hub.
                    before[number] = _set_handler(number, self.handle_signal)
                except ValueError:  # this is not the main thread
                    watchers.append(hub.loop.signal(number))
                    watchers[-1].start(self.end)
            self.start()
            if self.options.reload:
                reloading = Greenlet.spawn(self.reload_when_changed)
            self.over.wait()
            _say("ending")
            if self.options.pre_drain != 0 and not self.ends_at_once:
                self.over.clear()
                self.over.wait(self.options.pre_drain)
            self.drain()
        finally:
            for watcher in watchers:
                watcher.close()
            if not self.signals:  # after a signal the process ends, and another one must not interrupt that
                for number, handler in before.items():
                    _set_handler(number, _standard.SIG_DFL if handler is None else handler)
            if reloading is not None:
                reloading.kill()

    def drain(self):
        stopping = [Greenlet.spawn(server.stop, drain=self.options.drain) for server in self.servers]
        while not all(each.ready() for each in stopping):
            if self.ends_at_once:
                closing = [Greenlet.spawn(server.close) for server in self.servers]
                for each in closing:
                    each.join()
                break
            sleep(0.02)
        killed = sum(each.value or 0 for each in stopping)
        if killed:
            _say(f"{killed} requests were not answered in time")

    def handle_signal(self, number, frame):
        """Handle SIGTERM or Ctrl-C, which may interrupt the program anywhere, even where it blocks the hub."""
        self.signals += 1
        if self.signals == 2:
            # The application may catch kills, or block the hub. So a thread of faulthandler's, written in C, ends the
            # process. Further signals are ignored: one of them could kill the process while the interpreter ends.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                faulthandler.dump_traceback_later(_SECOND_SIGNAL_LIMIT, exit=True, file=2)
                _ignore_signals()
        with contextlib.suppress(HubDestroyed):  # the interpreter ends
            self.hub.loop.run_callback_threadsafe(self.end)

    def end(self):
        if self.over.is_set() or any(server.draining for server in self.servers):
            self.ends_at_once = True
        self.over.set()

    def hang_up(self):
        if self.context is None:
            return
        try:
            self.load_certificate()
            _say("the certificate was loaded again")
        except Stop as problem:
            _say(f"{problem}; the old one stays")

    # --- in several processes ---

    def serve_with_workers(self):
        """Listen, and let workers serve. Returns the process's exit status; does not return in a worker."""
        options = self.options
        listeners = []
        try:
            settings = Options(
                options.workers,
                worker_timeout=getattr(options, "worker_timeout", 60.0),
                drain=options.drain,
                pre_drain=options.pre_drain,
                max_requests=options.max_requests,
                max_requests_jitter=options.max_requests_jitter,
                max_rss=options.max_rss,
                preload=options.preload,
                status=options.status,
                tell=_say,
                name_of=lambda address: _url_of(address, options.certfile is not None),
            )
            hold_standard_descriptors()
            for address in self.addresses:
                listeners.append(Listener(address, options.workers, backlog=options.backlog, mode=options.mode))
            status = Supervisor(self.load_in_worker, listeners, settings).run()
            _ignore_signals()  # the process ends
            return status
        except OSError as error:
            raise Stop(f"cannot listen: {error.strerror or error}") from None
        except (OverflowError, TypeError, ValueError) as error:
            raise Stop(str(error)) from None
        finally:
            for listener in listeners:
                listener.close()

    def load_in_worker(self):
        try:
            application = self.load()
            need_httptools()
        except CannotLoad as problem:
            raise CannotStart(f"{problem}\n{problem.details}".rstrip()) from None
        except (Stop, ImportError) as problem:
            raise CannotStart(str(problem)) from None
        return lambda sock: self.make_worker_server(sock, application)

    def make_worker_server(self, sock, application):
        try:
            return self.make_server(sock, application, None)
        except Stop as problem:
            raise CannotStart(str(problem)) from None

    # --- changed sources ---

    def reload_when_changed(self):
        before = sources()
        while (path := changed_source(before)) is None:
            sleep(_SOURCE_CHECK_INTERVAL)
            before = {**sources(), **before}  # with the modules that were imported meanwhile
        _say(f"{path} has changed: starting anew")
        for server in self.servers:
            server.stop(drain=self.options.drain)
        self.start_anew()

    def close(self):
        for server in self.servers:
            server.close()
        if self.log is not None:
            self.log.close()

    def start_anew(self):
        if self.log is not None:
            self.log.close()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *_interpreter_options(), "-m", "greenio.wsgi", *self.arguments])


def _ignore_signals():
    with contextlib.suppress(ValueError):  # this is not the main thread
        for number in (_standard.SIGINT, _standard.SIGTERM):
            _set_handler(number, _standard.SIG_IGN)


def _interpreter_options():
    return [f"-W{each}" for each in sys.warnoptions]


def _open_log(path):
    if path is None:
        return None
    fd = 1
    if path == "-":
        sys.stdout.flush()
    else:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise Stop(f"the access log cannot be opened: {error.strerror}: {path!r}") from None
    log = LogFile(fd)
    atexit.register(log.flush)  # workers call it too when they end
    return log


def _url_of(address, is_tls):
    name = address_text(address)
    return f"{'https' if is_tls else 'http'}://{name}" if isinstance(address, tuple) else name


def _say(text):
    say(f"greenio.wsgi: {text}")


def _load_application(command):
    """Load the application. With --reload, an error waits for a change of the sources, and restarts the process."""
    while True:
        # Taken before the file is read, so that a change while it is read is noticed.
        own = _file_of(command.options.application, command.options.chdir or "")
        try:
            return command.load()
        except CannotLoad as problem:
            if not command.options.reload:
                raise
            _say(str(problem))
            sys.stderr.write(problem.details)
            before = {**sources(), **_files_in(problem.__cause__), **own}
        while changed_source(before) is None:
            time.sleep(_SOURCE_CHECK_INTERVAL)
        command.start_anew()


def _file_of(application, folder):
    """Return the file of a module that may fail to import, as sources() does, so that a change of it is noticed."""
    path = os.path.join(os.getcwd(), folder, *application.partition(":")[0].split(".")) + ".py"
    try:
        return {path: os.stat(path).st_mtime_ns}
    except OSError:
        return {path: -1}


def _files_in(error):
    """Return the files of an error's traceback, and the file of a syntax error, as sources() does."""
    found = {}
    paths = [getattr(error, "filename", None)]
    trace = getattr(error, "__traceback__", None)
    while trace is not None:
        paths.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    for path in paths:
        if isinstance(path, str) and os.path.isfile(path):
            found[path] = os.stat(path).st_mtime_ns
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the arguments say (by default those of sys.argv), and return the exit status (int). Switches."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse(arguments)
    except Stop as problem:
        _say(str(problem))
        return 1
    command = _Command(options, arguments)
    try:
        if options.workers is not None and not options.check:
            return command.serve_with_workers()
        application = _load_application(command)
        if options.check:
            command.make_servers(application)
            _say(f"{options.application} can be served")
            return 0
        command.make_servers(application)
        command.serve()
    except CannotLoad as problem:
        if options.debug:
            sys.stderr.write(problem.details)
        _say(str(problem))
        return 1
    except Stop as problem:
        _say(str(problem))
        return 1
    except CannotStart as problem:
        _say(str(problem))
        return 3
    except KeyboardInterrupt:
        return 0
    finally:
        command.close()
    return 0
