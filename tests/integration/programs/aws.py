"""boto3, with a server on loopback in place of Amazon's."""

import boto3
import botocore.config
import botocore.exceptions
from botocore.stub import Stubber
from together import http_server, together

import greenio

COUNT = 50


def s3(endpoint, **options):
    config = botocore.config.Config(
        max_pool_connections=COUNT, retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **options
    )
    session = boto3.session.Session(aws_access_key_id="id", aws_secret_access_key="key", region_name="us-east-1")
    return session.client("s3", endpoint_url=endpoint, config=config)


def objects():
    with http_server(COUNT) as server:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        client = s3(endpoint)

        def get(number):
            return client.get_object(Bucket="together", Key=str(number))["Body"].read().decode()

        print(together(COUNT, get) == [f"/together/{number}" for number in range(COUNT)])
        slow = s3(endpoint, read_timeout=0.05)
        try:
            slow.get_object(Bucket="never", Key="x")
        except botocore.exceptions.ReadTimeoutError:
            print("timeout")
        try:
            client.get_object(Bucket="gone", Key="x")["Body"].read()
        except (botocore.exceptions.IncompleteReadError, botocore.exceptions.ResponseStreamingError):
            print("gone")
        server.arrived.clear()
        killed = greenio.spawn(client.get_object, Bucket="never", Key="x")
        server.arrived.wait()
        killed.kill()
        print(client.get_object(Bucket="after", Key="x")["Body"].read().decode())
    stubbed = s3("http://127.0.0.1:1")
    with Stubber(stubbed) as stubber:
        for number in range(COUNT):
            stubber.add_response("list_buckets", {"Buckets": [{"Name": str(number)}]})
        names = together(COUNT, lambda number: stubbed.list_buckets()["Buckets"][0]["Name"])
        print(sorted(map(int, names)) == list(range(COUNT)))
