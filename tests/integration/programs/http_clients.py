"""requests, urllib3, httpx and websocket-client, against servers in the same process."""

import socket
import ssl
import threading

from together import http_server, together, until

import greenio

COUNT = 50


def with_requests():
    import requests

    with http_server(COUNT) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        assert set(together(COUNT, lambda number: requests.get(f"{url}/together").text)) == {"/together"}

        # One session, whose pool has room for all requests; then a connection that the server closes in the middle.
        with requests.Session() as session:
            session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=COUNT))
            got = together(COUNT, lambda number: session.get(f"{url}/together?{number}").text)
            assert got == [f"/together?{number}" for number in range(COUNT)]
            try:
                session.get(f"{url}/gone")
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                print("gone")
            try:
                session.get(f"{url}/never", timeout=0.05)
            except requests.ReadTimeout:
                print("timeout")

        server.arrived.clear()
        killed = greenio.spawn(requests.get, f"{url}/never")
        server.arrived.wait()
        killed.kill()
        print("killed", isinstance(killed.value, greenio.GreenletExit))
        with greenio.Timeout(0.05, False):
            requests.get(f"{url}/never")
        print(requests.get(f"{url}/after").text)


def with_urllib3():
    import urllib3

    with http_server(COUNT) as server:
        pool = urllib3.HTTPConnectionPool("127.0.0.1", server.server_port, maxsize=COUNT, block=True, retries=False)
        got = together(COUNT, lambda number: pool.request("GET", f"/together?{number}").data.decode())
        assert got == [f"/together?{number}" for number in range(COUNT)]
        print("connections", pool.num_connections)
        pool.close()

        # A pool of one connection: a wait for it times out; and it is usable after a kill.
        pool = urllib3.HTTPConnectionPool("127.0.0.1", server.server_port, maxsize=1, block=True, retries=False)
        server.arrived.clear()
        busy = greenio.spawn(pool.request, "GET", "/never")
        server.arrived.wait()
        try:
            pool.request("GET", "/", pool_timeout=0.05)
        except urllib3.exceptions.EmptyPoolError:
            print("exhausted")
        waiting = greenio.spawn(pool.request, "GET", "/after")
        greenio.sleep(0)
        busy.kill()
        print(waiting.get().data.decode())
        try:
            pool.request("GET", "/never", timeout=0.05)
        except urllib3.exceptions.ReadTimeoutError:
            print("timeout")
        pool.close()


def with_httpx():
    import httpx

    with http_server(COUNT) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        limits = httpx.Limits(max_connections=COUNT)
        with httpx.Client(base_url=url, limits=limits, timeout=30, trust_env=False) as client:
            got = together(COUNT, lambda number: client.get(f"/together?{number}").text)
            assert got == [f"/together?{number}" for number in range(COUNT)]
            try:
                client.get("/gone")
            except httpx.RemoteProtocolError:
                print("gone")
            try:
                client.get("/never", timeout=0.05)
            except httpx.ReadTimeout:
                print("timeout")
        timeout = httpx.Timeout(30, pool=0.05)
        with httpx.Client(
            base_url=url, limits=httpx.Limits(max_connections=1), timeout=timeout, trust_env=False
        ) as client:
            server.arrived.clear()
            busy = greenio.spawn(client.get, "/never")
            server.arrived.wait()
            try:
                client.get("/")
            except httpx.PoolTimeout:
                print("exhausted")
            busy.kill()
            print(client.get("/after").text)


def with_urllib3_over_tls(certificate, key, truststore=None):
    import urllib3

    if truststore:
        import truststore

        truststore.inject_into_ssl()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    context = ssl.create_default_context(cafile=certificate)
    print(type(context).__module__)
    with http_server(COUNT, serving) as server:
        pool = urllib3.HTTPSConnectionPool(
            "localhost", server.server_port, maxsize=COUNT, block=True, retries=False, ssl_context=context
        )
        got = together(COUNT, lambda number: pool.request("GET", f"/together?{number}").data.decode())
        assert got == [f"/together?{number}" for number in range(COUNT)]
        try:
            pool.request("GET", "/never", timeout=0.05)
        except urllib3.exceptions.ReadTimeoutError:
            print("timeout")
        pool.close()
        distrusting = urllib3.HTTPSConnectionPool(
            "localhost", server.server_port, retries=False, ssl_context=ssl.create_default_context()
        )
        try:
            distrusting.request("GET", "/")
        except urllib3.exceptions.SSLError:
            print("distrusted")
        distrusting.close()


def with_websocket_client():
    """websocket-client and the synchronous server of websockets, whose every connection is a thread."""
    import websocket
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import serve

    meeting = threading.Barrier(COUNT, timeout=30)

    def handle(connection):
        try:
            for message in connection:
                if message == "together":
                    meeting.wait()
                elif message == "leave":
                    connection.socket.shutdown(socket.SHUT_RDWR)
                    return
                if message != "never":
                    connection.send(message.upper())
        except ConnectionClosed:
            pass

    with serve(handle, "127.0.0.1", 0, logger=silent()) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"

        def talk(number):
            connection = websocket.create_connection(url, timeout=30)
            connection.send("together")
            answer = connection.recv()
            connection.close()
            return answer

        assert set(together(COUNT, talk)) == {"TOGETHER"}

        connection = websocket.create_connection(url, timeout=30)
        connection.settimeout(0.05)
        connection.send("never")
        try:
            connection.recv()
        except websocket.WebSocketTimeoutException:
            print("timeout")
        connection.settimeout(30)
        reading = greenio.spawn(connection.recv)
        greenio.sleep(0)
        reading.kill()
        connection.send("after")
        print(connection.recv())
        connection.send("leave")
        try:
            connection.recv()
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            print("gone")
        connection.shutdown()

        # The client with callbacks, whose pings come from a thread of its own.
        heard = []

        def on_message(app, message):
            heard.append(message)
            app.close()

        app = websocket.WebSocketApp(url, on_open=lambda app: app.send("hello"), on_message=on_message)
        running = greenio.spawn(app.run_forever, ping_interval=10, ping_timeout=5)
        until(running.ready)
        print(*heard)
        server.shutdown()
        serving.join()


def silent():
    import logging

    logger = logging.getLogger("silent")
    logger.disabled = True
    return logger
