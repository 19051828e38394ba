"""Follows streams with the library httpx-sse, and reports each event that its user sees: channel, type, id, data.

usage: python streams.py SERVER REPORTS CHANNEL...
"""

import sys
import threading
import time

import httpx
import httpx_sse

server, reports, *channels = sys.argv[1:]
# An environment with a proxy is no reason to ask it for this machine.
client = httpx.Client(timeout=None, trust_env=False)


def follow(channel):
    """Follows a channel. The library leaves reconnecting to its user."""
    last_id = ""
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            with httpx_sse.connect_sse(client, "GET", f"{server}/sse/{channel}", headers=headers) as stream:
                for event in stream.iter_sse():
                    last_id = event.id
                    client.post(reports, json=[channel, event.event, event.id, event.data])
        except (httpx.ReadError, httpx.RemoteProtocolError):
            pass
        time.sleep(0.2)


for channel in channels:
    threading.Thread(target=follow, args=[channel]).start()
