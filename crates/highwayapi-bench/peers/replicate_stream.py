"""replicate, the download in pieces: https://github.com/replicate/replicate-python (FileOutput is an iterator)."""

import replicate
from measure import bench, url
from replicate.helpers import FileOutput

client = replicate.Client(api_token="bench", base_url=url("replicate"))


def download(file):
    # What `run` gives for an https link.
    output = FileOutput(url("replicate") + "/clip.mp4", client)
    with open(file, "wb") as video:
        for chunk in output:
            video.write(chunk)


bench("replicate", download=download)
