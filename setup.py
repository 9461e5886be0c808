"""Builds the extensions; everything that is not about compiling is in pyproject.toml.

`hub.loop` carries pyuv and libuv. Their C files are compiled once each into a static library, with the
flags they need, and linked in with hidden symbols: another libuv in the process never mixes with this one.
A source distribution carries pyuv's archive, so it can be built without a network.

Files are compiled on all cores. A file is not compiled again if it is newer than its sources and was compiled with the
same settings.

Environment variables for a build:
    HUB_PYUV_SDIST=/path/to/pyuv-1.4.0.tar.gz   use this archive; do not ask a package index
    HUB_SYSTEM_LIBUV=1                          link the system's libuv (1.44 or later), not pyuv's copy:
                                                timers then count milliseconds
    HUB_TRACE=1                                 line tracing in the Cython modules, for coverage
    HUB_DEBUG=1                                 -O1 -g, and checks of the invariants that the headings in hub/ state
"""

import contextlib
import importlib.util
import os
import shutil
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist
from setuptools.errors import CCompilerError

HERE = Path(__file__).parent.absolute()
SYSTEM_LIBUV = os.environ.get("HUB_SYSTEM_LIBUV") == "1"
TRACE = os.environ.get("HUB_TRACE") == "1"
DEBUG = os.environ.get("HUB_DEBUG") == "1"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# Last on the command line: these overrule the options with which CPython was compiled, but not the user's CFLAGS.
OPTIMIZATION = [] if os.environ.get("CFLAGS") else ["-O1", "-g"] if DEBUG else ["-O2", "-g0"]
MACROS = [
    *([("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if TRACE else []),
    *([("HUB_SYSTEM_LIBUV", "1")] if SYSTEM_LIBUV else []),
    *([("HUB_DEBUG", "1")] if DEBUG else []),
]
#: The CPU time of a whole build on an ordinary machine, in seconds.
SECONDS = 60
# Each function and variable has a section of its own, so that the linker leaves out unused ones.
COMPILE = [*OPTIMIZATION, "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections"]
LINK = ["-Wl,--gc-sections"]

MODULES = [
    "hub.all_loops",
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
    "hub.wakeup_slot",
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
    "greenio._wsgi.answering",
    "greenio._wsgi.body",
    "greenio._wsgi.parser",
    "greenio._wsgi.reading",
    "greenio._wsgi.request",
    "greenio._wsgi.response",
    "greenio._wsgi.stream",
    "greenio.event",
    "greenio.greenlet",
    "greenio.local",
    "greenio.pool",
    "greenio.queue",
    "greenio.timeout",
]

#: A module that Cython writes by itself, with the code that all compiled modules need (functions, arguments, imports).
SHARED = "hub._cython"
UNSHARED = ["MemoryView"]  # parts of it that no module uses

HEADERS = [str(path.relative_to(HERE)) for path in sorted(HERE.glob("hub/*.h"))]

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

# Names in libuv's files that are replaced when they are compiled. Two calls go to hub/exact_sleep.h instead, one to
# hub/worker_threads.h. The destructor that joins the threads of libuv's pool at the end of the process does not run: a
# forked child, which does not have these threads, would crash.
REDIRECTED = {
    "core": {"uv__next_timeout": "hub_next_timeout"},
    "linux-core": {"uv__epoll_wait": "hub_epoll_wait"},
    "threadpool": {"uv_thread_create": "hub_thread_create", "destructor": "unused"},
}


def pyuv_path(which):
    """Return the path of pyuv's "archive" or "unpacked_source", from the function of this name in hub.pyuv_source."""
    # By path: importing the package `hub` needs the extensions that are about to be built.
    spec = importlib.util.spec_from_file_location("pyuv_source", HERE / "hub" / "pyuv_source.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return getattr(module, which)(HERE)
    except module.SourceError as error:
        stop(error)


def stop(message):
    """End the build with one line that says what to do."""
    raise CCompilerError(f"greenio cannot be built: {message}")


def tell(message):
    """Print a message, also to the terminal directly, because pip does not show the output of a build."""
    print(f"greenio: {message}", flush=True)
    if not sys.stdout.isatty():
        with contextlib.suppress(OSError), open("/dev/tty", "w") as terminal:
            terminal.write(f"\n  greenio: {message}\n")


def in_parallel(function, items):
    """Call function(item) for each of `items`, on all cores. Returns the results in the order of the items (list)."""
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(function, items))


def outdated(target, sources):
    """Whether `target` is missing, or older than one of `sources`."""
    return not target.exists() or any(Path(source).stat().st_mtime > target.stat().st_mtime for source in sources)


@contextlib.contextmanager
def cythons_own_files_are_old():
    """Let the declarations of C and Python that come with Cython count as older than every C file.

    pip installs Cython anew for each build, so they would always be newer. Cython's version is among the settings.
    """
    import Cython
    from Cython.Build.Dependencies import DependencyTree

    folder = os.path.dirname(os.path.realpath(Cython.__file__)) + os.sep
    timestamp = DependencyTree.timestamp
    DependencyTree.timestamp = lambda self, filename: (
        0.0 if os.path.realpath(filename).startswith(folder) else timestamp(self, filename)
    )
    try:
        yield
    finally:
        DependencyTree.timestamp = timestamp


class Settings:
    """The settings with which files were made, kept in a file: when they change, the files have to be made again."""

    def __init__(self, path, **settings):
        self.path = Path(path)
        self.text = "".join(f"{name} = {value!r}\n" for name, value in settings.items())

    def changed(self):
        """Whether the settings differ from those of the last complete build. If so, those are forgotten."""
        if self.path.exists() and self.path.read_text() == self.text:
            return False
        self.path.unlink(missing_ok=True)
        return True

    def keep(self):
        """Remember the settings: all files have been made with them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.text)


class BuildExtensions(build_ext):
    """Compiles the .pyx files, and adds pyuv and libuv to hub.loop. Errors say what is missing."""

    def run(self):
        asked = self.build_lib
        self.in_place = bool(self.inplace or self.editable_mode)
        if self.in_place:
            # Folders that last. setuptools would take temporary ones for an editable installation, and compile
            # everything each time. It copies the compiled modules to the folders of the sources.
            tag = f"{self.plat_name}-{sys.implementation.cache_tag}"
            self.build_lib = str(HERE / "build" / f"inplace.{tag}")
            self.build_temp = str(HERE / "build" / f"inplace.temp.{tag}")
        super().run()
        self.build_lib = asked

    def build_extensions(self):
        if not sys.platform.startswith("linux"):
            stop(f"the platform {sys.platform!r} is not supported yet; Linux is")
        self.check_tools()
        begun = time.monotonic()
        # Modules that are compiled in place keep the names of functions, for profilers and debuggers.
        link = LINK if self.in_place or DEBUG or os.environ.get("CFLAGS") else [*LINK, "-Wl,--strip-all"]
        settings = self.compiler_settings(link)
        rewrite = self.force
        self.force = self.force or settings.changed()
        self.parallel = self.parallel or CORES
        paths = [self.get_ext_fullpath(extension.name) for extension in self.extensions]
        missing = sum(self.force or not os.path.exists(path) for path in paths)
        if missing:
            seconds = SECONDS * missing / len(self.extensions) / self.parallel
            tell(f"compiles {missing} modules on {self.parallel} cores, which takes about {seconds:.0f} seconds")
        self.write_c(rewrite)
        source = pyuv_path("unpacked_source")
        for extension in self.extensions:
            extension.include_dirs += self.libuv_include_dirs(source)
            extension.extra_link_args += link
            if extension.name == "hub.loop":
                self.add_pyuv(extension, source)
        # Large modules first, so that no core is left with one of them at the end.
        self.extensions.sort(key=lambda extension: -os.path.getsize(extension.sources[0]))
        super().build_extensions()
        settings.keep()
        if missing:
            tell(f"compiled in {time.monotonic() - begun:.0f} seconds")

    def write_c(self, force):
        """Let Cython write the C files beside the .pyx files. They are the same for all CPythons and C compilers."""
        import Cython
        import greenlet
        from Cython.Build import cythonize

        settings = Settings(
            HERE / "build" / "cython.settings",
            cython=Cython.__version__,
            directives=DIRECTIVES,
            shared=[SHARED, UNSHARED],
        )
        with cythons_own_files_are_old():
            written = cythonize(
                list(self.extensions),
                compiler_directives=DIRECTIVES,
                shared_utility_qualified_name=SHARED,
                shared_utility_features_disabled=UNSHARED,
                nthreads=self.parallel,
                force=settings.changed() or force,
                quiet=not self.verbose,
            )
        settings.keep()
        sources = {extension.name: extension.sources for extension in written}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
            extension.include_dirs.append(os.path.dirname(greenlet.__file__))

    def compiler_settings(self, link):
        import greenlet

        return Settings(
            Path(self.build_temp) / "compiler.settings",
            python=sys.version,
            greenlet=greenlet.__version__,
            compile=COMPILE,
            link=link,
            macros=MACROS,
            environment={name: os.environ.get(name) for name in ("CFLAGS", "CPPFLAGS", "LDFLAGS")},
        )

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
        library = Path(self.build_temp) / self.compiler.library_filename("hub_pyuv")
        if self.force or outdated(library, [*HEADERS, source / "src" / "pyuv.c"]):
            library.unlink(missing_ok=True)
            objects = in_parallel(lambda part: self.compile_c(source, *part), self.pyuv_parts(source))
            self.compiler.create_static_lib(objects, "hub_pyuv", output_dir=self.build_temp)
        if SYSTEM_LIBUV:
            extension.libraries.append("uv")
        else:
            extension.libraries += ["dl", "rt", "pthread"]
        extension.extra_objects.append(str(library))
        extension.depends = [*extension.depends, str(library)]
        # libuv marks its functions as exported, which overrules -fvisibility.
        extension.extra_link_args += ["-Wl,--exclude-libs,libhub_pyuv.a", "-Wl,-Bsymbolic"]

    def pyuv_parts(self, source):
        """Yield the path, the folder of headers and the flags of each C file of pyuv and libuv, the largest first."""
        # -w: warnings about pyuv would hide those about our own code.
        yield source / "src" / "pyuv.c", source / "src", ["-include", str(HERE / "hub" / "pyuv_compat.h"), "-w"]
        if SYSTEM_LIBUV:
            return
        src = source / "deps" / "libuv" / "src"
        for name in [*(f"unix/{name}" for name in LIBUV_UNIX + LIBUV_LINUX), *LIBUV_COMMON]:
            redirected = [f"-D{call}={ours}" for call, ours in REDIRECTED.get(Path(name).name, {}).items()]
            yield src / f"{name}.c", src, ["-std=gnu89", "-w", *redirected]

    def compile_c(self, source, file, include_dir, flags):
        """Compile one C file. Returns the path of the object file."""
        include_dirs = [str(include_dir), *self.libuv_include_dirs(source), sysconfig.get_path("include")]
        (compiled,) = self.compiler.compile(
            [str(file)],
            output_dir=self.build_temp,
            include_dirs=include_dirs,
            macros=[("_LARGEFILE_SOURCE", "1"), ("_FILE_OFFSET_BITS", "64"), ("_GNU_SOURCE", "1")],
            extra_postargs=["-fPIC", *COMPILE, *flags],
        )
        return compiled


class SourceDistribution(sdist):
    """Makes a source distribution that carries pyuv's archive."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        archive = pyuv_path("archive")
        folder = Path(base_dir) / "vendor"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(archive, folder / "pyuv-1.4.0.tar.gz")


def extensions():
    return [
        Extension(
            name,
            [name.replace(".", "/") + (".c" if name == SHARED else ".pyx")],
            include_dirs=["hub"],
            depends=HEADERS,
            define_macros=[("_GNU_SOURCE", "1"), *MACROS],
            extra_compile_args=[*COMPILE, "-fno-semantic-interposition", "-fno-plt"],
            libraries=["rt"] if name == "hub.signals" else [],  # for timers, before glibc 2.34
        )
        for name in [*MODULES, SHARED]
    ]


if __name__ == "__main__":  # not again in the processes that cythonize() starts
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExtensions, "sdist": SourceDistribution})
