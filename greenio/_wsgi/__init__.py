"""The parts of greenio.wsgi (internal).

| module | what it is for |
| --- | --- |
| errors | what a request is refused with, and what an application gets |
| limits | how much a client may ask for, and how long it may take |
| parser | the head of a request and the framing of its body: the only module that knows httptools |
| environ | the dictionary that an application is called with |
| networks, forwarded, proxy_protocol | what a proxy says of the client |
| body | `wsgi.input` |
| client | `greenio.client`: whether somebody still waits for the answer |
| response | the head of an answer |
| files | `wsgi.file_wrapper` |
| log | the access log |
| stream | a connection's bytes, and how long may be waited for more |
| reading, answering, handler | a connection: its requests, its answers, and one after the other |
| server | WSGIServer |
| loading, command | `python -m greenio.wsgi` |
"""
