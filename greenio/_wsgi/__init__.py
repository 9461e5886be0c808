"""The parts of greenio.wsgi (internal).

| module | what it is for |
| --- | --- |
| errors | refusals of requests, and the exceptions that an application gets |
| grammar | the names and values of HTTP, as regular expressions |
| limits | how much a client may send, and how long it may take |
| parser | the head of a request and the framing of its body: the only module that imports httptools |
| request | what the head of a request means |
| environ | classes for the dictionary with which an application is called |
| networks, forwarded, proxy_protocol | the client's address, where proxies tell it |
| body | `wsgi.input` |
| client | `greenio.client`: whether the client still waits for the answer |
| response | the head of an answer |
| files | `wsgi.file_wrapper` |
| log | the access log |
| stream | the bytes of a connection, and the time limits for each wait |
| reading, answering, handler | a connection: reading its requests, answering them, and the whole of it |
| server | WSGIServer |
| arguments, loading, command | `python -m greenio.wsgi` |
"""
