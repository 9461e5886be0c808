"""Starts the commands of os.system(). While one runs, Ctrl-C and Ctrl-\\ are for the command and not for its caller.

As system(3) does, this ignores SIGINT and SIGQUIT in the calling process. The command gets the handling from before.

What does not belong here: waiting for the command (children.py).
"""

import os

__all__ = ["heed_interrupts", "start"]

cdef extern from *:
    """
    #include <errno.h>
    #include <signal.h>
    #include <spawn.h>
    #include <unistd.h>

    extern char **environ;

    /* How many commands run, and how the two signals were handled before the first of them. */
    static int shell_commands = 0;
    static struct sigaction shell_before[2];
    static const int shell_signals[2] = {SIGINT, SIGQUIT};

    static void shell_ignore(void)
    {
        struct sigaction ignored = {0};
        if (shell_commands++)
            return;
        ignored.sa_handler = SIG_IGN;
        for (int i = 0; i < 2; i++)
            sigaction(shell_signals[i], &ignored, &shell_before[i]);
    }

    static void shell_heed(void)
    {
        struct sigaction now;
        if (--shell_commands)
            return;
        for (int i = 0; i < 2; i++)
            /* Unless the program has set a handler meanwhile. */
            if (sigaction(shell_signals[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN)
                sigaction(shell_signals[i], &shell_before[i], NULL);
    }

    /* Start a command. Returns 0 or an error number. */
    static int shell_start(char *command, pid_t *pid)
    {
        char *arguments[] = {"sh", "-c", command, NULL};
        posix_spawnattr_t attributes;
        sigset_t defaults;
        int error = posix_spawnattr_init(&attributes);
        if (error)
            return error;
        sigemptyset(&defaults);
        for (int i = 0; i < 2; i++)
            if (shell_before[i].sa_handler != SIG_IGN)
                sigaddset(&defaults, shell_signals[i]);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        error = posix_spawn(pid, "/bin/sh", NULL, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
        return error;
    }
    """
    void shell_ignore()
    void shell_heed()
    int shell_start(char *command, int *pid)


def start(bytes command not None, waiting, dict table not None):
    """Start a command (bytes) in a shell, and ignore the two signals.

    Sets ``waiting.pid`` and ``table[waiting]`` to its process number (int) before any other Python code can run.
    When the command has ended, heed_interrupts() must be called once. Raises OSError if the command cannot be started;
    heed_interrupts() must not be called then. Does not switch.
    """
    cdef int pid
    cdef int error
    if b"\0" in command:
        raise ValueError("embedded null byte")
    shell_ignore()
    error = shell_start(command, &pid)
    if error:
        shell_heed()
        raise OSError(error, os.strerror(error))
    table[waiting] = waiting.pid = pid


def heed_interrupts():
    """Note the end of a command. After the end of the last one, the two signals are handled as before."""
    shell_heed()
