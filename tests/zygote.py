"""Python programs that begin as forks of a process which has imported torch, instead of as new interpreters.

Importing torch, torchvision and timm takes four seconds of a core, and the tests and what they test start hundreds of
processes: commands, and the jobs and ranks that these start. After ``install()``, ``subprocess`` starts
``python -m MODULE`` and ``python SCRIPT`` here by asking a process of ours, the zygote, to fork, and each program that
began so does the same with those that it starts. What a program imports of this repository it imports itself, and it
has a pid, a parent, a command line, signals, streams and an end of its own, so that it can be looked for, killed and
waited for like any other. Whatever is asked for beyond that gets an interpreter of its own: ``python -c``, options of
Python's, a changed variable that a library reads while it is imported. So do what the shell and Slurm start.
"""

import atexit
import ctypes
import fcntl
import gc
import inspect
import io
import os
import pickle
import runpy
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import weakref
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRELOADED = (
    *("torch", "torch.distributed.run", "torchvision", "timm", "timm.optim", "timm.scheduler", "fvcore.nn"),
    *("pandas", "scipy.stats", "matplotlib.figure", "submitit", "rich.console", "jinja2", "markdown_it", "msgspec"),
)
READ_ON_IMPORT = ("HF_", "LANG", "LC_", "LD_", "MPL", "PYTHON")
"""how the names of variables begin that the interpreter or a library looks at only once, but for the number of threads,
which is one here in any case"""
COMMAND_LINE = 8192
"""bytes that a program's command line may take"""

HUGE_PAGE = 2 * 1024 * 1024
_COLLAPSE = 25
"""MADV_COLLAPSE, of madvise"""
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER, of prctl"""
_ALWAYS_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""by every Python process; ``subprocess`` does not pass it on"""
_start_anew = subprocess.Popen._execute_child
_parameters = inspect.signature(_start_anew)
_lock = threading.Lock()
_zygote = None
"""the connection to it"""
_process = None
"""the zygote itself, where a whole interpreter had to be started for it"""


def install():
    """Have ``subprocess`` fork programs in Python, in this process and in those that it forks."""
    subprocess.Popen._execute_child = _execute_child


def _uninstall():
    """In a process that this one forks by itself: what the zygote forks would not be its child."""
    subprocess.Popen._execute_child = _start_anew


os.register_at_fork(after_in_child=_uninstall)


def take_terminal():
    """Make the terminal on standard input that of the session: before a program begins, so that Ctrl-C is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _execute_child(self, *args):
    """In the place of Popen's: start the child, and set ``pid``."""
    asked = _parameters.bind(self, *args).arguments
    request = _request(asked)
    if not request:
        return _start_anew(self, *args)
    with _lock:
        self.pid = _fork(request, [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")])
    self._child_created = True
    pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
    return self._close_pipe_fds(*(asked[pipe] for pipe in pipes))


def _request(asked):
    """What the zygote must know to start a child; empty if it needs an interpreter of its own."""
    command = asked["args"]
    if asked["shell"] or isinstance(command, str | bytes | os.PathLike):
        return b""
    python, *words = map(os.fspath, command)
    unbuffered = words[:1] == ["-u"]
    words = words[unbuffered:]
    env = dict(os.environ if asked["env"] is None else asked["env"])
    if (
        python != sys.executable
        or not words
        or not (words[0] == "-m" or words[0].endswith(".py"))
        or _read_on_import(env) != _READ
        or asked["executable"]
        or asked["pass_fds"]
        or not (asked["close_fds"] and asked["restore_signals"])
    ):
        return b""
    # A signal that is ignored here, or held back, is so in the child, too.
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
    state = {
        "words": words,
        "line": [python, *(["-u"] if unbuffered else []), *words],
        "unbuffered": unbuffered,
        "env": env,
        "cwd": str(Path(asked["cwd"] or ".").absolute()),
        "ignored": [int(number) for number in ignored.difference(_ALWAYS_IGNORED)],
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "session": asked["start_new_session"],
        "before": asked["preexec_fn"],
    }
    try:
        return pickle.dumps(state)
    except (AttributeError, pickle.PicklingError):  # a function that is no module's
        return b""


def _read_on_import(env):
    return {name: value for name, value in env.items() if name.startswith(READ_ON_IMPORT)}


_READ = _read_on_import(os.environ)
"""the same in all that begins so: a test that changes one changes only its own processes"""


def _fork(request, streams):
    """Have the zygote fork; returns the pid of the child, which is one of this process.

    Args:
        request: the child's state, pickled.
        streams: its three files, -1 where it has the file of this process.
    """
    global _zygote, _process
    if not _zygote:
        _zygote, theirs = socket.socketpair()
        env = {name: value for name, value in os.environ.items() if not name.startswith(READ_ON_IMPORT)}
        env |= _READ | {"OMP_NUM_THREADS": "1"}
        with theirs:
            command = [sys.executable, "-m", "tests.zygote", str(theirs.fileno()), "-" * COMMAND_LINE]
            _process = subprocess.Popen(
                command, cwd=ROOT, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
    # The child is an orphan at once, and an orphan goes to the nearest ancestor that asked for such.
    _prctl(_SUBREAPER, 1)
    try:
        files = [number if file == -1 else file for number, file in enumerate(streams)]
        socket.send_fds(_zygote, [struct.pack("Q", len(request))], files)
        _zygote.sendall(request)
        (pid,) = struct.unpack("Q", _receive(_zygote, 8))
    finally:
        _prctl(_SUBREAPER, 0)
    if not pid:
        raise ChildProcessError("the child ended before its program began")
    return pid


def _prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _receive(connection, size):
    received = b""
    while len(received) < size:
        if not (part := connection.recv(size - len(received))):
            raise EOFError("the zygote has ended")
        received += part
    return received


# In the zygote


def _serve(connection):
    """Fork a child for each request; returns in the children alone: state, files, and the pipe that waits for a pid."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # a signal to all of a group is not meant for this process
    while True:
        header, files, _, _ = socket.recv_fds(connection, 8, 3)
        if not header:
            os._exit(0)
        request = _receive(connection, *struct.unpack("Q", header))
        readable, writable = os.pipe()
        between = os.fork()
        if not between:
            if os.fork():
                os._exit(0)
            connection.close()
            os.close(readable)
            return pickle.loads(request), files, writable
        os.close(writable)
        os.waitpid(between, 0)
        connection.sendall(os.read(readable, 8) or bytes(8))
        for file in (readable, *files):
            os.close(file)


def _use_huge_pages():
    """Have Linux keep this process's memory in pages of 2 MiB.

    A fork copies the table of all pages, and so takes a third of the time. Linux before 6.1 refuses, as does any where
    a mapping has no memory yet.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, access, _, _, inode, *_ = line.split()
        if (access, inode) == ("rw-p", "0"):
            start, end = (int(address, 16) for address in addresses.split("-"))
            start, end = -(-start // HUGE_PAGE) * HUGE_PAGE, end // HUGE_PAGE * HUGE_PAGE
            if start < end:
                madvise(start, end - start, _COLLAPSE)


def _become(state, files):
    """Be a process that was started as the state says, up to its first line."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(state["env"])
    os.chdir(state["cwd"])
    for number in signal.valid_signals().difference(_ALWAYS_IGNORED, (signal.SIGKILL, signal.SIGSTOP)):
        signal.signal(number, signal.SIG_IGN if number in state["ignored"] else signal.SIG_DFL)
    if signal.SIGINT not in state["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, state["blocked"])
    if state["session"]:
        os.setsid()
    if state["before"]:
        state["before"]()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number, getattr(sys, name), state["unbuffered"])
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.modules["numpy"].random.seed()


def _stream(number, like, unbuffered):
    """Standard input, output or error, as the interpreter opens it."""
    text = {"encoding": like.encoding, "errors": like.errors}
    if not number:
        return io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), **text)
    binary = io.FileIO(number, "wb", closefd=False)
    if unbuffered:
        return io.TextIOWrapper(binary, write_through=True, **text)
    return io.TextIOWrapper(io.BufferedWriter(binary), line_buffering=number == 2 or os.isatty(number), **text)


def _set_command_line(words):
    """Have it in /proc, where a program is looked for."""
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    line = b"".join(os.fsencode(word) + b"\0" for word in words)
    ctypes.memmove(start, line[: end - start - 1].ljust(end - start, b"\0"), end - start)


def _run(words):
    """Run the program; its exception is the interpreter's to report."""
    global _code
    try:
        if words[0] == "-m":
            sys.path[0] = str(Path.cwd())
            sys.argv = ["-m", *words[2:]]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = str(Path(words[0]).absolute().parent)
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
        _code = 0
    except SystemExit as error:
        _code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
    except KeyboardInterrupt:  # of which the interpreter dies in a way of its own
        atexit.unregister(_end)
        raise


_code = 1
"""to exit with"""


def _end():
    """Leave when all is done but to free what was preloaded, which takes longer than most programs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_code & 0xFF)


def _fork_a_zygote():
    """Start the zygote of this program, while nothing of it has begun; returns a connection and whether this is it."""
    ours, theirs = socket.socketpair()
    if os.fork():
        theirs.close()
        return ours, False
    ours.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.close(nothing)
    return theirs, True


def main():
    """Serve, and go on as a program wherever a fork is one."""
    global _zygote
    connection, is_zygote = socket.socket(fileno=int(sys.argv[1])), True
    atexit.register(_end)  # before what is imported registers something, and so after all of it
    for name in PRELOADED:
        __import__(name)
    for finalizer in tuple(weakref.finalize._registry):
        finalizer.atexit = False  # torch would deregister its operators one by one at the end of every program
    gc.collect()
    gc.freeze()
    _use_huge_pages()
    while is_zygote:
        state, files, told = _serve(connection)
        _become(state, files)
        connection, is_zygote = _fork_a_zygote()
        if is_zygote:
            os.close(told)
    _zygote = connection
    _set_command_line(state["line"])
    install()
    os.write(told, struct.pack("Q", os.getpid()))
    os.close(told)
    _run(state["words"])


if __name__ == "__main__":
    from tests import zygote  # the module that is asked from here on

    zygote.main()
