"""novita-client as its README does it: https://github.com/novitalabs/python-sdk.

Its video call takes one picture; what takes two, as base64, is inpainting.
"""

from measure import bench, url
from novita_client import NovitaClient, V3TaskResponse
from novita_client.utils import read_image_to_base64

client = NovitaClient("bench", base_url=url("novita"))


def submit(first, last):
    return client.async_inpainting(
        model_name="realisticVisionV40_v40VAE-inpainting_81543.safetensors",
        image=read_image_to_base64(first),
        mask=read_image_to_base64(last),
        prompt="dusk falls",
        image_num=1,
        sampler_name="Euler a",
        steps=20,
        guidance_scale=7.5,
        seed=-1,
    )


def download(file):
    done = V3TaskResponse.from_dict(client._get("/done"))
    done.download_videos()
    with open(file, "wb") as video:
        video.write(done.video_bytes[0])


bench("novita-client", submit, poll=lambda task: client.async_task_result(task.task_id), download=download)
