"""paramiko: its client, and a server made with it, in the same process."""

import contextlib
import socket
import threading

import paramiko
from together import together, until

import greenio

COUNT = 30


class Interface(paramiko.ServerInterface):
    def __init__(self, meeting):
        self.meeting = meeting
        self.waiting = set()

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == "right" else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.run, args=(channel, command.decode()), daemon=True).start()
        return True

    def run(self, channel, command):
        with contextlib.suppress(OSError), channel:
            # The client must know that the command was accepted before its output comes.
            channel.recv(2)
            if command == "wait":
                self.waiting.add(channel)
                while not channel.closed:
                    greenio.sleep(0.005)
                self.waiting.discard(channel)
                return
            if command.startswith("together"):
                self.meeting.wait()
            elif command == "copy":
                while data := channel.recv(65536):
                    channel.sendall(data)
            channel.sendall(command.encode())
            channel.send_exit_status(len(command))


def connected():
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    interface = Interface(threading.Barrier(COUNT, timeout=30))
    transports = []

    def accept():
        while True:
            try:
                sock, _address = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(sock)
            transport.add_server_key(key)
            transports.append(transport)
            try:
                transport.start_server(server=interface)
            except (paramiko.SSHException, EOFError):
                transport.close()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    return listener, interface, key, transports


def client(listener, key, password="right"):
    port = listener.getsockname()[1]
    made = paramiko.SSHClient()
    made.get_host_keys().add(f"[127.0.0.1]:{port}", key.get_name(), key)
    made.connect(
        "127.0.0.1", port, username="somebody", password=password, allow_agent=False, look_for_keys=False, timeout=30
    )
    return made


def execute(ssh, command, **options):
    stdin, stdout, _stderr = ssh.exec_command(command, **options)
    stdin.channel.sendall(b"go")
    return stdin, stdout


def many_channels():
    listener, interface, key, transports = connected()
    ssh = client(listener, key)

    def run(number):
        command = f"together {number}"
        _stdin, stdout = execute(ssh, command)
        answer = stdout.read().decode()
        return answer == command and stdout.channel.recv_exit_status() == len(command)

    print(all(together(COUNT, run)))

    def copy(number):
        stdin, stdout = execute(ssh, "copy")
        data = bytes([number]) * 300_000
        sending = threading.Thread(target=lambda: (stdin.write(data), stdin.channel.shutdown_write()))
        sending.start()
        got = stdout.read()
        sending.join()
        return got == data + b"copy"

    print(all(together(5, copy)))
    others = together(5, lambda number: client(listener, key))
    print(all(execute(each, "x")[1].read() == b"x" for each in others))
    for each in (ssh, *others, *transports):
        each.close()
    listener.close()


def unhappy():
    listener, interface, key, transports = connected()
    import logging

    logging.getLogger("paramiko").disabled = True
    logging.getLogger("paramiko.transport").disabled = True
    try:
        client(listener, key, "wrong")
    except paramiko.AuthenticationException:
        print("refused")
    ssh = client(listener, key)
    _stdin, stdout = execute(ssh, "wait", timeout=0.05)
    try:
        stdout.read()
    except TimeoutError:
        print("timeout")
    stdout.channel.close()
    until(lambda: not interface.waiting)

    def wait():
        _stdin, stdout = execute(ssh, "wait")
        try:
            return stdout.read()
        finally:
            stdout.channel.close()

    killed = greenio.spawn(wait)
    until(lambda: interface.waiting)
    killed.kill()
    until(lambda: not interface.waiting)
    print(execute(ssh, "after")[1].read().decode())
    waiting = greenio.spawn(wait)
    until(lambda: interface.waiting)
    transports[-1].close()
    print(waiting.get(), ssh.get_transport().is_active())
    ssh.close()
    for each in transports:
        each.close()
    listener.close()
