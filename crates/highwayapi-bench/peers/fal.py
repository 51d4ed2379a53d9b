"""fal-client as the README of the package does it (uploading files, queuing requests)."""

import fal_client
from fal_client import client as inside
from measure import bench, url

# No setting leads to another host.
inside.QUEUE_URL_FORMAT, inside.REST_URL, inside.CDN_URL = url("fal") + "/", url("fal"), url("fal")
client = fal_client.SyncClient(key="bench")
async_client = fal_client.AsyncClient(key="bench")
MODEL = "fal-ai/veo3.1/fast/first-last-frame-to-video"


def task(first, last):
    return {"prompt": "dusk falls", "first_frame_url": first, "last_frame_url": last}


def submit(first, last):
    return client.submit(MODEL, task(client.upload_file(first), client.upload_file(last)))


async def submit_async(first, last):
    urls = [await async_client.upload_file(frame) for frame in (first, last)]
    return await async_client.submit(MODEL, task(*urls))


bench("fal-client", submit, submit_async, lambda handle: handle.status())
