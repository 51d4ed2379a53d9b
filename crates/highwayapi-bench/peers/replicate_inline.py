"""replicate with the pictures in the request: its `file_encoding_strategy="base64"`."""

import replicate
from measure import bench, url

client = replicate.Client(api_token="bench", base_url=url("replicate"))
MODEL = "google/veo-3.1-fast"


def submit(first, last):
    with open(first, "rb") as image, open(last, "rb") as last_frame:
        task = {"prompt": "dusk falls", "image": image, "last_frame": last_frame}
        return client.models.predictions.create(MODEL, input=task, file_encoding_strategy="base64")


async def submit_async(first, last):
    with open(first, "rb") as image, open(last, "rb") as last_frame:
        task = {"prompt": "dusk falls", "image": image, "last_frame": last_frame}
        return await client.models.predictions.async_create(MODEL, input=task, file_encoding_strategy="base64")


bench("replicate", submit, submit_async)
