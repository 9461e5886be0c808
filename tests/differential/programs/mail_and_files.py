"""Clients of the standard library against servers of a few lines: smtplib, poplib, ftplib; refusals and times."""

import ftplib
import poplib
import smtplib
import socketserver
import threading

from _tell import tell

SCRIPTS = {
    "smtp": (b"220 hello", {b"EHLO": b"250 hello", b"MAIL": b"250 ok", b"DATA": b"354 go on", b".": b"250 taken"}),
    "pop": (b"+OK hello", {b"USER": b"+OK", b"PASS": b"-ERR no", b"STAT": b"+OK 2 300", b"LIST": b"+OK\r\n1 100\r\n."}),
    "ftp": (b"220 hello", {b"USER": b"331 and?", b"PASS": b"230 in", b"PWD": b'257 "/there"', b"SIZE": b"213 42"}),
}
LAST = {"smtp": b"221 bye", "pop": b"+OK bye", "ftp": b"221 bye"}


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        kind = self.server.kind
        greeting, answers = SCRIPTS[kind]
        self.wfile.write(greeting + b"\r\n")
        for line in self.rfile:
            word = line.split()[0].upper() if line.split() else b""
            if word == b"QUIT":
                self.wfile.write(LAST[kind] + b"\r\n")
                return
            if word == b"RCPT":
                self.wfile.write(b"550 nobody\r\n" if b"nobody" in line else b"250 ok\r\n")
            elif word == b"NOOP":
                return
            elif word in answers:
                self.wfile.write(answers[word] + b"\r\n")
            elif kind != "smtp" or word in (b"RSET", b"VRFY"):
                self.wfile.write(b"-ERR what\r\n" if kind == "pop" else b"500 what\r\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def serving(kind):
    server = Server(("127.0.0.1", 0), Handler)
    server.kind = kind
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    return server


with serving("smtp") as server:
    with smtplib.SMTP(*server.server_address, timeout=20, local_hostname="x") as client:
        tell("sent", client.sendmail, "a@b", ["c@d", "nobody@d"], "Subject: x\r\n\r\ntext")
        tell("nobody", client.sendmail, "a@b", ["nobody@d"], "text")
        tell("no login", client.login, "a", "b")
        tell("ends", client.noop)
        tell("then", client.sendmail, "a@b", ["c@d"], "text")
    server.shutdown()
tell("refused", smtplib.SMTP, *server.server_address)
with serving("pop") as server:
    client = poplib.POP3(*server.server_address, timeout=20)
    tell("user", client.user, "a")
    tell("pass", client.pass_, "b")
    tell("stat", client.stat)
    tell("list", client.list)
    tell("quit", client.quit)
    server.shutdown()
with serving("ftp") as server:
    with ftplib.FTP(timeout=20) as client:
        tell("connect", client.connect, *server.server_address)
        tell("login", client.login, "a", "b")
        tell("pwd", client.pwd)
        tell("unknown", client.sendcmd, "XXXX")
        tell("list", client.nlst)
    server.shutdown()
