"""replicate as its README does it: https://github.com/replicate/replicate-python (open files are uploaded)."""

import replicate
from measure import bench, url
from replicate.helpers import FileOutput

client = replicate.Client(api_token="bench", base_url=url("replicate"))
MODEL = "google/veo-3.1-fast"


def submit(first, last):
    with open(first, "rb") as image, open(last, "rb") as last_frame:
        task = {"prompt": "dusk falls", "image": image, "last_frame": last_frame}
        return client.models.predictions.create(MODEL, input=task)


async def submit_async(first, last):
    with open(first, "rb") as image, open(last, "rb") as last_frame:
        task = {"prompt": "dusk falls", "image": image, "last_frame": last_frame}
        return await client.models.predictions.async_create(MODEL, input=task)


def download(file):
    # What `run` gives for an https link.
    output = FileOutput(url("replicate") + "/clip.mp4", client)
    with open(file, "wb") as video:
        video.write(output.read())


bench("replicate", submit, submit_async, lambda prediction: prediction.reload(), download)
