"""Follows a stream with the library sseclient-py, and prints each event as a line of JSON: id, type, data."""

import http.client
import json
import sys
import urllib.parse

import sseclient

url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.netloc)
connection.request("GET", url.path, headers={"Last-Event-ID": sys.argv[2]})
for event in sseclient.SSEClient(connection.getresponse()).events():
    print(json.dumps([event.id, event.event, event.data]), flush=True)
