"""Builds the extensions; everything that is not about compiling is in pyproject.toml.

`hub.loop` carries pyuv and libuv. Their C files are compiled once each into a static library, with the
flags they need, and linked in with hidden symbols: another libuv in the process never mixes with this one.

Environment variables for those who build:
    HUB_PYUV_SDIST=/path/to/pyuv-1.4.0.tar.gz   use this archive; do not ask a package index
    HUB_SYSTEM_LIBUV=1                          link the system's libuv (1.44 or later), not pyuv's copy:
                                                timers then count milliseconds
    HUB_TRACE=1                                 line tracing in the Cython modules, for coverage
    HUB_DEBUG=1                                 -O1 -g, and checks of the invariants that the headings in hub/ state
"""

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import greenlet
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError

HERE = Path(__file__).parent.absolute()
SYSTEM_LIBUV = os.environ.get("HUB_SYSTEM_LIBUV") == "1"
TRACE = os.environ.get("HUB_TRACE") == "1"
DEBUG = os.environ.get("HUB_DEBUG") == "1"
# Last on the command line: they overrule what CPython itself was compiled with, but not CFLAGS that are given.
OPTIMIZATION = [] if os.environ.get("CFLAGS") else ["-O1", "-g"] if DEBUG else ["-O3", "-g0"]

MODULES = [
    "hub.arguments",
    "hub.callbacks",
    "hub.closing",
    "hub.current",
    "hub.ending",
    "hub.greenlets",
    "hub.loop",
    "hub.scheduler",
    "hub.signals",
    "hub.stacks",
    "hub.threads",
    "hub.thrown",
    "hub.timers",
    "hub.wait_queue",
    "hub.waits",
    "hub.watchers",
    "greenio._descriptors.accepting",
    "greenio._descriptors.bare",
    "greenio._descriptors.buffered",
    "greenio._descriptors.datagram",
    "greenio._descriptors.endpoint",
    "greenio._descriptors.shell",
    "greenio._descriptors.signalfd",
    "greenio._descriptors.tls",
    "greenio._descriptors.transfer",
    "greenio._patched.frames",
    "greenio._patched.identity",
    "greenio._patched.running_loop",
    "greenio._sync.channel",
    "greenio._sync.condition",
    "greenio._sync.containers",
    "greenio._sync.hooked",
    "greenio._sync.linkable",
    "greenio._sync.mutex",
    "greenio._sync.semaphore",
    "greenio._tasks.choosing",
    "greenio._tasks.link_list",
    "greenio._tasks.raw",
    "greenio._tasks.spawn_place",
    "greenio._tasks.spawning",
    "greenio._tasks.waiting",
    "greenio.event",
    "greenio.greenlet",
    "greenio.local",
    "greenio.pool",
    "greenio.queue",
    "greenio.timeout",
]

HEADERS = [str(path) for path in HERE.glob("hub/*.h")]

DIRECTIVES = {
    "language_level": 3,
    # None for a typed argument would be a segmentation fault without these two.
    "allow_none_for_extension_args": False,
    "nonecheck": True,
    "auto_pickle": False,
    "autotestdict": False,
    "binding": True,
    "embedsignature": True,
    "linetrace": TRACE,
}

LIBUV_COMMON = ["fs-poll", "inet", "threadpool", "uv-common", "version"]
LIBUV_UNIX = [
    "async", "core", "dl", "fs", "getaddrinfo", "getnameinfo", "loop-watcher", "loop", "pipe", "poll",
    "process", "signal", "stream", "tcp", "thread", "timer", "tty", "udp",
]  # fmt: skip
LIBUV_LINUX = [
    "linux-core", "linux-inotify", "linux-syscalls", "procfs-exepath", "proctitle",
    "sysinfo-loadavg", "sysinfo-memory",
]  # fmt: skip

# Names in libuv's files that mean something else here: two calls go to hub/exact_sleep.h instead, one to
# hub/worker_threads.h; and what joins the threads of its pool at the end of the process does not run, as a forked
# child, which does not have them, would crash.
REDIRECTED = {
    "core": {"uv__next_timeout": "hub_next_timeout"},
    "linux-core": {"uv__epoll_wait": "hub_epoll_wait"},
    "threadpool": {"uv_thread_create": "hub_thread_create", "destructor": "unused"},
}


def pyuv_source_module():
    # By path: importing the package `hub` needs the extensions that are about to be built.
    spec = importlib.util.spec_from_file_location("pyuv_source", HERE / "hub" / "pyuv_source.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stop(message):
    """End the build with one line that says what to do."""
    raise CCompilerError(f"greenio cannot be built: {message}")


class BuildExtensions(build_ext):
    """Adds pyuv and libuv to hub.loop, and says plainly what is missing when it cannot compile."""

    def build_extensions(self):
        self.check_tools()
        self.parallel = self.parallel or os.cpu_count()
        if not sys.platform.startswith("linux"):
            stop(f"the platform {sys.platform!r} is not supported yet; Linux is")
        pyuv_source = pyuv_source_module()
        try:
            source = pyuv_source.unpacked_source(HERE / "build")
        except pyuv_source.SourceError as error:
            stop(error)
        for extension in self.extensions:
            extension.include_dirs += self.libuv_include_dirs(source)
            if extension.name == "hub.loop":
                self.add_pyuv(extension, source)
        super().build_extensions()

    def check_tools(self):
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
        compiler = os.environ.get("CC", compiler).split()[0]
        if shutil.which(compiler) is None:
            stop(
                f"the C compiler {compiler!r} was not found; install one (Debian and Ubuntu: apt install gcc; "
                "Fedora: dnf install gcc), or name another in the environment variable CC"
            )
        headers = sysconfig.get_path("include")
        if not os.path.exists(os.path.join(headers, "Python.h")):
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            stop(
                f"Python's C headers are not in {headers}; install them (Debian and Ubuntu: apt install "
                f"python{version}-dev; Fedora: dnf install python{version}-devel)"
            )

    def libuv_include_dirs(self, source):
        return [] if SYSTEM_LIBUV else [str(source / "deps" / "libuv" / "include")]

    def add_pyuv(self, extension, source):
        libuv = source / "deps" / "libuv"
        # pyuv is compiled as it is; what our own code warns of stays visible.
        compat = ["-include", str(HERE / "hub" / "pyuv_compat.h"), "-w"]
        objects = self.compile_c(source, [source / "src" / "pyuv.c"], source / "src", compat)
        if SYSTEM_LIBUV:
            extension.libraries.append("uv")
        else:
            files = [libuv / "src" / f"{name}.c" for name in LIBUV_COMMON]
            files += [libuv / "src" / "unix" / f"{name}.c" for name in LIBUV_UNIX + LIBUV_LINUX]
            for file in files:
                redirected = [f"-D{call}={ours}" for call, ours in REDIRECTED.get(file.stem, {}).items()]
                objects += self.compile_c(source, [file], libuv / "src", ["-std=gnu89", "-w", *redirected])
            extension.libraries += ["dl", "rt", "pthread"]
        self.compiler.create_static_lib(objects, "hub_pyuv", output_dir=self.build_temp)
        extension.extra_objects.append(str(Path(self.build_temp) / self.compiler.library_filename("hub_pyuv")))
        # libuv marks its functions as exported whatever -fvisibility says.
        extension.extra_link_args += ["-Wl,--exclude-libs,libhub_pyuv.a", "-Wl,-Bsymbolic"]

    def compile_c(self, source, files, include_dir, flags):
        include_dirs = [str(include_dir), *self.libuv_include_dirs(source), sysconfig.get_path("include")]
        return self.compiler.compile(
            [str(file) for file in files],
            output_dir=self.build_temp,
            include_dirs=include_dirs,
            macros=[("_LARGEFILE_SOURCE", "1"), ("_FILE_OFFSET_BITS", "64"), ("_GNU_SOURCE", "1")],
            extra_postargs=["-fPIC", "-fvisibility=hidden", *OPTIMIZATION, *flags],
        )


def extensions():
    macros = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if TRACE else []
    if SYSTEM_LIBUV:
        macros.append(("HUB_SYSTEM_LIBUV", "1"))
    if DEBUG:
        macros.append(("HUB_DEBUG", "1"))
    found = [
        Extension(
            name,
            [name.replace(".", "/") + ".pyx"],
            include_dirs=[os.path.dirname(greenlet.__file__), "hub"],
            depends=HEADERS,
            define_macros=[("_GNU_SOURCE", "1"), *macros],
            extra_compile_args=[*OPTIMIZATION, "-fvisibility=hidden", "-fno-semantic-interposition", "-fno-plt"],
            libraries=["rt"] if name == "hub.signals" else [],  # for timers, before glibc 2.34
        )
        for name in MODULES
    ]
    return cythonize(found, compiler_directives=DIRECTIVES, nthreads=os.cpu_count() or 1)


if __name__ == "__main__":  # not again in the processes that cythonize() starts
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExtensions})
