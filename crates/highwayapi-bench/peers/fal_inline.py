"""fal-client with the pictures in the request, as the README of the package does it (in-memory data URLs)."""

import fal_client
from fal_client import client as inside
from measure import bench, url

# No setting leads to another host.
inside.QUEUE_URL_FORMAT = url("fal") + "/"
client = fal_client.SyncClient(key="bench")
async_client = fal_client.AsyncClient(key="bench")
MODEL = "fal-ai/veo3.1/fast/first-last-frame-to-video"


def task(first, last):
    encode = fal_client.encode_file
    return {"prompt": "dusk falls", "first_frame_url": encode(first), "last_frame_url": encode(last)}


def submit(first, last):
    return client.submit(MODEL, task(first, last))


async def submit_async(first, last):
    return await async_client.submit(MODEL, task(first, last))


bench("fal-client", submit, submit_async)
